"""Data sets: splits of flattened examples, and what is derived from them."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from reglab.data.cautions import unscaled, unused
from reglab.data.class_weights import weights_of_classes
from reglab.data.facts import Columns, DataFacts
from reglab.data.labels import ClassName
from reglab.data.standardization import Standardization, standardization_of


# Arrays have no single truth value, so a generated `==` could only fail: with eq=False, `==` is identity.
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Examples:
    """One split: `x` is [n, features] in uint8 or float32, `y` is [n] in int32. The arrays may be read-only.

    Attributes:
      weights: [n] float64, above 0: how much each example counts in the data loss of training; None: all alike.
    """

    x: npt.NDArray[Any]
    y: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        return f"<{len(self):,} examples of {self.x.shape[-1]:,} {self.x.dtype} features>"

    def take(self, indices: npt.NDArray[Any]) -> Examples:
        """Returns a copy of the examples at `indices`."""
        return Examples(self.x[indices], self.y[indices], None if self.weights is None else self.weights[indices])


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset(DataFacts):
    """Training, validation and test examples.

    Attributes:
      train: the examples to train on, after the subset and the label noise.
      validation: the examples held out, by which choices are made; their labels are never changed.
      test: the examples not used until every choice is made, or None; their labels are never changed.
      columns: the names of the columns, if the data are a table.
      standardize: whether the model's input is (x - mean) / std, with the statistics of `train` alone.
      class_weights: "balanced" or `class=weight,…`, by which classes weigh in the data loss of training; None: alike.

    Raises:
      ConfigError: what is derived from `train` is asked for, and the data do not allow it.
    """

    name: str
    train: Examples
    validation: Examples
    classes: int
    input_shape: tuple[int, ...]
    divisor: float
    test: Examples | None = None
    validated_on_test: bool = False
    class_names: tuple[ClassName, ...] | None = None
    columns: Columns | None = None
    standardize: bool = False
    class_weights: str | None = None

    @functools.cached_property
    def standardization(self) -> Standardization | None:
        """The mean and standard deviation of each feature in `train`, if the data are standardized."""
        return standardization_of(self.name, self.train.x) if self.standardize else None

    @functools.cached_property
    def weights_of_classes(self) -> npt.NDArray[np.float64] | None:
        """The weight of each class in the data loss of training, [classes], unless all weigh alike."""
        if self.class_weights is None:
            return None
        return weights_of_classes(self.class_weights, self.train.y, self.classes, self.class_names)

    @property
    def is_weighted(self) -> bool:
        """Whether classes, or training examples of one class, weigh differently."""
        return self.weights_of_classes is not None or self.train.weights is not None

    def loss_weights(self, split: str) -> npt.NDArray[np.float64]:
        """Returns how much each example of a split counts in a weighted data loss: [n], class weight times its own."""
        examples, of_classes = self.splits[split], self.weights_of_classes
        own = np.ones(len(examples)) if examples.weights is None else examples.weights
        return own if of_classes is None else own * of_classes[examples.y]

    @functools.cached_property
    def cautions(self) -> tuple[str, ...]:
        """Also about inputs that are far from scaled, and classes that no training example has."""
        scale = None if self.standardize or self.dtype == "uint8" else unscaled(self.train.x)
        return tuple(filter(None, (*super().cautions, scale, unused(self.train.y, self.classes, self.class_names))))

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
        """Eight hexadecimal digits (CRC-32) of all examples and labels, the divisor, and number and names of classes.

        What is derived from them, such as the standardization, is not part of it.
        """
        names = () if self.class_names is None else (self.class_names,)
        return digest_of((self.divisor, self.classes, *names), *self.splits.values())

    @property
    def more_facts(self) -> dict[str, Any]:
        """The digest of each split, by which its examples are recognized; columns and weights, where there are any."""
        weights = self.weights_of_classes
        return {"digests": {name: digest_of((self.divisor,), split) for name, split in self.splits.items()},
                **({} if self.columns is None else {"columns": self.columns._asdict()}),
                **({} if weights is None else {"class_weights": weights.tolist()})}


@dataclasses.dataclass(frozen=True, eq=False)
class Undivided:
    """A data set as its files have it, before examples are held out for validation.

    Attributes:
      train, test: its parts; `test` is None if there is no test part.
      held_out: the indices in `train` of the validation examples, whatever the seed; None: the seed draws them.
      class_names, columns: as in `Dataset`.
    """

    name: str
    train: Examples
    test: Examples | None
    classes: int
    input_shape: tuple[int, ...]
    divisor: float
    held_out: npt.NDArray[Any] | None = dataclasses.field(default=None, repr=False)
    class_names: tuple[ClassName, ...] | None = None
    columns: Columns | None = None


def digest_of(told: tuple[Any, ...], *splits: Examples) -> str:
    """Computes eight hexadecimal digits, the CRC-32 of the description `told` and of the examples."""
    crc = zlib.crc32(repr(told).encode())
    for split in splits:
        for array in (split.x, split.y, *([] if split.weights is None else [split.weights])):
            crc = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data, crc)
    return f"{crc:08x}"


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """⌈examples / batch size⌉: the last batch of an epoch may have fewer examples than the others."""
    return -(-examples // batch_size)
