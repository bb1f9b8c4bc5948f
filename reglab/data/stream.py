"""Data that are not held in memory: a function of the epoch yields them in parts."""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from reglab.data.examples import Examples
from reglab.data.facts import DataFacts
from reglab.data.labels import ClassName

Parts = Iterable[tuple[npt.ArrayLike, npt.ArrayLike]]
"""Pairs (x, y) of [n, *input_shape] inputs and [n] class numbers; n may differ from pair to pair."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Stream(DataFacts):
    """Training, validation and optional test examples that functions yield.

    Attributes:
      train: maps an epoch, from 0, to its examples in the order of training. It must depend on the epoch alone: a
        resumed run calls it again and skips the examples already seen.
      validation: yields the examples held out.
      train_size, validation_size: the number of examples that these functions yield at each call.
      dtype: what x is kept in until it is on the device: "uint8" or "float32".
      version: any text; change it whenever the data change. The digest depends on it, not on the examples.
      test: yields the examples not used until every choice is made; None if there are none.
      test_size: the number of test examples.
      class_names: the names of the classes, by class number; None if they have none.
    """

    name: str
    train: Callable[[int], Parts]
    validation: Callable[[], Parts]
    train_size: int
    validation_size: int
    classes: int
    input_shape: tuple[int, ...]
    divisor: float = 1.0
    dtype: str = "float32"
    version: str = ""
    test: Callable[[], Parts] | None = None
    test_size: int = 0
    class_names: tuple[ClassName, ...] | None = None

    @property
    def sizes(self) -> Mapping[str, int]:
        """The declared number of examples in "train", "validation" and, if there is a test part, "test"."""
        return {"train": self.train_size, "validation": self.validation_size,
                **({} if self.test is None else {"test": self.test_size})}

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits (CRC-32) of what is declared about the examples."""
        told = (self.name, self.train_size, self.validation_size, self.classes, self.input_shape, self.divisor,
                self.dtype, self.version, *([] if self.test is None else [self.test_size]))
        return f"{zlib.crc32(repr(told).encode()):08x}"

    def batches(self, split: str, epoch: int, batch_size: int) -> Iterator[Examples]:
        """Yields the examples of a split in batches of `batch_size`; the last may be smaller.

        Raises:
          ValueError: the shapes, types, labels or number of examples differ from those declared.
        """
        left, seen = Examples(np.zeros([0, math.prod(self.input_shape)], self.dtype), np.zeros(0, np.int32)), 0
        for x, y in self._parts(split, epoch):
            part = self._checked(f"{self.name}: {split} epoch {epoch}, from example {seen} on", x, y)
            seen += len(part)
            left = Examples(np.concatenate([left.x, part.x]), np.concatenate([left.y, part.y]))
            while len(left) >= batch_size:
                yield left.take(np.arange(batch_size))
                left = Examples(left.x[batch_size:], left.y[batch_size:])
        if len(left):
            yield left
        if seen != self.sizes[split]:
            raise ValueError(f"{self.name}: {split} epoch {epoch} brought {seen:,} examples, not the "
                             f"{self.sizes[split]:,} that were told")

    def _parts(self, split: str, epoch: int) -> Parts:
        if split == "train":
            return self.train(epoch)
        bring = self.validation if split == "validation" else self.test
        assert bring is not None, "only a split that there is is asked for"
        return bring()

    def _checked(self, where: str, x: npt.ArrayLike, y: npt.ArrayLike) -> Examples:
        inputs, labels = np.asarray(x), np.asarray(y)
        if inputs.shape != (len(labels), *self.input_shape) or labels.ndim != 1:
            raise ValueError(f"{where}: x has shape {inputs.shape} and y {labels.shape}; give [some, "
                             f"{', '.join(map(str, self.input_shape))}] and [some]")
        if inputs.dtype != np.uint8 and self.dtype == "uint8":
            raise ValueError(f"{where}: x is {inputs.dtype}, and uint8 was told")
        if labels.dtype.kind not in "iu" or (len(labels) and not 0 <= labels.min() <= labels.max() < self.classes):
            raise ValueError(f"{where}: y has other values than the class numbers 0 to {self.classes - 1}")
        flat = inputs.reshape(len(labels), math.prod(self.input_shape))
        return Examples(flat.astype(self.dtype), labels.astype(np.int32))
