"""The public image sets: their shapes, classes and standard files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reglab.data.examples import Examples, Undivided
from reglab.inputs.texts import shown

TRAIN_IMAGES: Final = "train-images-idx3-ubyte"
TRAIN_LABELS: Final = "train-labels-idx1-ubyte"
TEST_IMAGES: Final = "t10k-images-idx3-ubyte"
TEST_LABELS: Final = "t10k-labels-idx1-ubyte"


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """What is known of an image set before it is read; `files` lists, for messages, the files of its `--data_dir`."""

    classes: int
    input_shape: tuple[int, ...]
    files: str

    def undivided(self, name: str, train: Examples, test: Examples) -> Undivided:
        """Makes the data set from its two parts, whose pixels are bytes."""
        return Undivided(name, train, test, self.classes, self.input_shape, divisor=255.0)


_IDX_FILES: Final = ", ".join(f"{name}.gz" for name in (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS))

IMAGE_SETS: Final[Mapping[str, ImageSet]] = {
    "mnist": ImageSet(10, (28, 28), _IDX_FILES),
    "fashion_mnist": ImageSet(10, (28, 28), _IDX_FILES),
    "cifar10": ImageSet(10, (32, 32, 3), "cifar-10-python.tar.gz or cifar-10-binary.tar.gz"),
    "cifar100": ImageSet(100, (32, 32, 3), "cifar-100-python.tar.gz or cifar-100-binary.tar.gz"),
}


def bad_label(y: npt.NDArray[Any], classes: int) -> str | None:
    """Describes the first label outside 0 … classes-1, or returns None if there is none."""
    wrong = np.flatnonzero((y < 0) | (y >= classes))
    if not len(wrong):
        return None
    return f"holds label {shown(y[wrong[:1]].tolist()[0])} at position {wrong[0]}, not one of 0 to {classes - 1}"
