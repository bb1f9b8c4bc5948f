"""What a data set is: two splits of flattened examples, and the facts that are known of any data."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


# Arrays have no single truth value, so `==` on these classes could only fail: eq=False leaves identity.
@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """One split: `x` is [n, features] in uint8 or float32, `y` is [n] in int32. The arrays may be read-only."""

    x: npt.NDArray[Any]
    y: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: npt.NDArray[Any]) -> Examples:
        """The examples at `indices`, copied."""
        return Examples(self.x[indices], self.y[indices])


class DataFacts:
    """What is known of data, wherever they come from.

    Attributes:
      name: what the data are called.
      classes: the number of classes, at least 2; labels are 0 … classes-1.
      input_shape: the shape of one example before it was flattened, such as (28, 28).
      divisor: the model's input is x / divisor, which lies in [0, 1] for images: 255 for them, 16 for the digits,
        1 for arrays that are used as they are.
    """

    name: str
    classes: int
    input_shape: tuple[int, ...]
    divisor: float

    @property
    def sizes(self) -> Mapping[str, int]:
        """The number of examples in "train" and in "validation"."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits: other data, another digest."""
        raise NotImplementedError

    @property
    def description(self) -> str:
        """One line for people: `digits: 1,437 training and 360 validation images of 8x8, 10 classes`."""
        shape = "x".join(map(str, self.input_shape))
        what = f"images of {shape}" if len(self.input_shape) > 1 else f"examples of {shape} features"
        return (f"{self.name}: {self.sizes['train']:,} training and {self.sizes['validation']:,} validation {what}, "
                f"{self.classes} classes")

    @property
    def facts(self) -> dict[str, Any]:
        """What `data.json` of a run says of its data: enough to refuse others, and to use the network without them."""
        return {"description": self.description, "digest": self.digest, "input_shape": list(self.input_shape),
                "divisor": self.divisor, "classes": self.classes}


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset(DataFacts):
    """Training and validation examples.

    Attributes:
      train: the examples to train on, after the subset and the label noise.
      validation: the examples held out; their labels are never changed.
    """

    name: str
    train: Examples
    validation: Examples
    classes: int
    input_shape: tuple[int, ...]
    divisor: float

    @property
    def sizes(self) -> Mapping[str, int]:
        """The number of examples in "train" and in "validation"."""
        return {"train": len(self.train), "validation": len(self.validation)}

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits of all examples, labels and the divisor: other data, another digest."""
        crc = zlib.crc32(repr((self.divisor, self.classes)).encode())
        for split in (self.train, self.validation):
            for array in (split.x, split.y):
                crc = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data, crc)
        return f"{crc:08x}"


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """⌈examples / batch size⌉: the last batch of an epoch may have fewer examples than the others."""
    return -(-examples // batch_size)
