"""Data sets: splits of flattened examples, and the facts known of any data."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ON_TEST_PART: Final = (
    "Validated on the test part (--validation_split=0): what validation chooses is chosen on it, so its figures are "
    "optimistic, and no part is left that is untouched.")
"""The caution for data whose test part serves as the validation part."""


# Arrays have no single truth value, so a generated `==` could only fail: with eq=False, `==` is identity.
@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """One split: `x` is [n, features] in uint8 or float32, `y` is [n] in int32. The arrays may be read-only."""

    x: npt.NDArray[Any]
    y: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: npt.NDArray[Any]) -> Examples:
        """Returns a copy of the examples at `indices`."""
        return Examples(self.x[indices], self.y[indices])


class DataFacts:
    """What is known of data, whatever their source.

    Attributes:
      name: what the data are called.
      classes: the number of classes, at least 2; labels are 0 … classes-1.
      input_shape: the shape of one example before it was flattened, such as (28, 28).
      divisor: the model's input is x / divisor, which lies in [0, 1] for images: 255 for them, 16 for the digits,
        1 for arrays that are used as they are.
      validated_on_test: whether the validation part is the data's test part, so that no test part is left.
    """

    name: str
    classes: int
    input_shape: tuple[int, ...]
    divisor: float
    validated_on_test: bool = False

    @property
    def sizes(self) -> Mapping[str, int]:
        """The number of examples in "train", in "validation" and, where there is a test part, in "test"."""
        raise NotImplementedError

    @property
    def dtype(self) -> str:
        """What x is kept in: "uint8" or "float32"."""
        return kept_in(self.divisor)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits (CRC-32), by which other data are recognized."""
        raise NotImplementedError

    @property
    def description(self) -> str:
        """One line for people: `digits: 1,077 training, 360 validation and 360 test images of 8x8, 10 classes`."""
        shape = "x".join(map(str, self.input_shape))
        what = f"images of {shape}" if len(self.input_shape) > 1 else f"examples of {shape} features"
        *first, last = (f"{size:,} {'training' if split == 'train' else split}" for split, size in self.sizes.items())
        return f"{self.name}: {', '.join(first)} and {last} {what}, {self.classes} classes"

    @property
    def facts(self) -> dict[str, Any]:
        """The contents of a run's `data.json`: enough to refuse other data, and to use the network without the data."""
        return {"description": self.description, "digest": self.digest, "input_shape": list(self.input_shape),
                "divisor": self.divisor, "dtype": self.dtype, "classes": self.classes, "sizes": dict(self.sizes),
                "validated_on_test": self.validated_on_test, **self.caution, **self.more_facts}

    @property
    def more_facts(self) -> dict[str, Any]:
        """Further entries of `facts` that subclasses add."""
        return {}

    @property
    def caution(self) -> dict[str, str]:
        """The extra entry of files that describe the data if `validated_on_test`: "caution", a sentence; else empty."""
        return {"caution": ON_TEST_PART} if self.validated_on_test else {}


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset(DataFacts):
    """Training, validation and test examples.

    Attributes:
      train: the examples to train on, after the subset and the label noise.
      validation: the examples held out, by which choices are made; their labels are never changed.
      test: the examples not used until every choice is made, or None; their labels are never changed.
    """

    name: str
    train: Examples
    validation: Examples
    classes: int
    input_shape: tuple[int, ...]
    divisor: float
    test: Examples | None = None
    validated_on_test: bool = False

    @property
    def splits(self) -> Mapping[str, Examples]:
        """Maps the name of each existing split to its examples."""
        there = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: examples for name, examples in there.items() if examples is not None}

    @property
    def sizes(self) -> Mapping[str, int]:
        """The number of examples in "train", in "validation" and, where there is a test part, in "test"."""
        return {name: len(examples) for name, examples in self.splits.items()}

    @property
    def dtype(self) -> str:
        """What x is kept in: "uint8" or "float32"."""
        return self.train.x.dtype.name

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits (CRC-32) of all examples and labels, the divisor and the number of classes."""
        return digest_of((self.divisor, self.classes), *self.splits.values())

    @property
    def more_facts(self) -> dict[str, Any]:
        """The digest of each split, by which its examples are recognized."""
        return {"digests": {name: digest_of((self.divisor,), split) for name, split in self.splits.items()}}


@dataclasses.dataclass(frozen=True, eq=False)
class Undivided:
    """A data set as its files have it, before examples are held out for validation.

    Attributes:
      train, test: its parts; `test` is None if there is no test part.
      held_out: the indices in `train` of the validation examples, whatever the seed; None: the seed draws them.
    """

    name: str
    train: Examples
    test: Examples | None
    classes: int
    input_shape: tuple[int, ...]
    divisor: float
    held_out: npt.NDArray[Any] | None = None


def digest_of(told: tuple[Any, ...], *splits: Examples) -> str:
    """Computes eight hexadecimal digits, the CRC-32 of the description `told` and of the examples."""
    crc = zlib.crc32(repr(told).encode())
    for split in splits:
        for array in (split.x, split.y):
            crc = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data, crc)
    return f"{crc:08x}"


def kept_in(divisor: float) -> str:
    """Returns the dtype of x that its divisor implies: bytes are divided, other numbers are taken as they are."""
    return "float32" if divisor == 1 else "uint8"


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """⌈examples / batch size⌉: the last batch of an epoch may have fewer examples than the others."""
    return -(-examples // batch_size)
