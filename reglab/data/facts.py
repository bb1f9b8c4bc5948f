"""What is known of any data: sizes, shapes, classes, units, and what to be careful about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from reglab.data.labels import ClassName
from reglab.data.standardization import Standardization
from reglab.inputs.texts import shown

ON_TEST_PART: Final = (
    "Validated on the test part (--validation_split=0): what validation chooses is chosen on it, so its figures are "
    "optimistic, and no part is left that is untouched.")
"""The caution for data whose test part serves as the validation part."""


_NAMES_SHOWN: Final = 5


class Columns(NamedTuple):
    """The names of a table's columns: that of the label, and those of the features in the order of x."""

    label: str
    features: tuple[str, ...]


class DataFacts:
    """What is known of data, whatever their source.

    Attributes:
      name: what the data are called.
      classes: the number of classes, at least 2; labels are 0 … classes-1.
      input_shape: the shape of one example before it was flattened, such as (28, 28).
      divisor: the model's input is x / divisor, which lies in [0, 1] for images: 255 for them, 16 for the digits,
        1 for arrays that are used as they are.
      validated_on_test: whether the validation part is the data's test part, so that no test part is left.
      class_names: the labels of the classes as the data have them, by class number; None if these are the numbers.
      standardization: the mean and standard deviation of each feature, if the model's input is (x - mean) / std.
    """

    name: str
    classes: int
    input_shape: tuple[int, ...]
    divisor: float
    validated_on_test: bool = False
    class_names: tuple[ClassName, ...] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self.description)}>"

    @property
    def standardization(self) -> Standardization | None:
        """None: x / divisor is the model's input."""
        return None

    @property
    def weights_of_classes(self) -> npt.NDArray[np.float64] | None:
        """None: all classes weigh alike in training."""
        return None

    @property
    def is_weighted(self) -> bool:
        """Whether some examples count more than others in the data loss of training."""
        return False

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
        return (f"{self.name}: {', '.join(first)} and {last} {what}, {self.classes} classes"
                f"{_listed(self.class_names)}{'' if self.standardization is None else ', standardized'}")

    @property
    def facts(self) -> dict[str, Any]:
        """The contents of a run's `data.json`: enough to refuse other data, and to use the network without the data."""
        return {"description": self.description, "digest": self.digest, "input_shape": list(self.input_shape),
                "divisor": self.divisor, "dtype": self.dtype, "classes": self.classes, "sizes": dict(self.sizes),
                "validated_on_test": self.validated_on_test, **self.caution, **_told(self), **self.more_facts}

    @property
    def more_facts(self) -> dict[str, Any]:
        """Further entries of `facts` that subclasses add."""
        return {}

    @property
    def cautions(self) -> tuple[str, ...]:
        """Sentences about what makes the data, or figures on them, less than they seem."""
        return (ON_TEST_PART,) if self.validated_on_test else ()

    @property
    def caution(self) -> dict[str, str]:
        """The extra entry of files that describe the data: "caution", all `cautions`; empty if there are none."""
        return {"caution": " ".join(self.cautions)} if self.cautions else {}


def kept_in(divisor: float) -> str:
    """Returns the dtype of x that its divisor implies: bytes are divided, other numbers are taken as they are."""
    return "float32" if divisor == 1 else "uint8"


def _listed(names: Sequence[ClassName] | None) -> str:
    """Returns the names of classes in parentheses, if they have any; of many only the first and the last."""
    if names is None:
        return ""
    few = names if len(names) <= _NAMES_SHOWN else [*names[:_NAMES_SHOWN - 2], "...", names[-1]]
    return f" ({', '.join(shown(str(name), 40) for name in few)})"


def _told(data: DataFacts) -> dict[str, Any]:
    """The entries of `facts` that only some data have."""
    told: dict[str, Any] = {}
    if data.class_names is not None:
        told["class_names"] = list(data.class_names)
    if data.standardization is not None:
        told["standardization"] = data.standardization.to_dict()
    return told
