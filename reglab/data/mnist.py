"""MNIST and Fashion-MNIST from their four IDX files."""

from __future__ import annotations

import numpy as np

from reglab.config import ConfigError
from reglab.data.catalog import IMAGE_SETS, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, bad_label
from reglab.data.examples import Examples, Undivided
from reglab.data.idx import read_idx
from reglab.data.places import DataFile, locate
from reglab.inputs.texts import shown


def load_mnist(dataset: str, data_dir: str) -> Undivided:
    """Reads `mnist` or `fashion_mnist` from the files in `data_dir`, or in its folder of that name.

    Raises:
      ConfigError: a file is missing or not what it should be.
    """
    train = _read_pair(dataset, data_dir, TRAIN_IMAGES, TRAIN_LABELS)
    test = _read_pair(dataset, data_dir, TEST_IMAGES, TEST_LABELS)
    return IMAGE_SETS[dataset].undivided(dataset, train, test)


def _read_pair(dataset: str, data_dir: str, images: str, labels: str) -> Examples:
    image_file, label_file = _locate(dataset, data_dir, images), _locate(dataset, data_dir, labels)
    x, y = read_idx(image_file, 3), read_idx(label_file, 1)
    shape, classes = IMAGE_SETS[dataset].input_shape, IMAGE_SETS[dataset].classes
    if x.shape[1:] != shape or not len(x):
        raise image_file.damaged(f"holds {len(x):,} images of {x.shape[1]}x{x.shape[2]}, not of {shape[0]}x{shape[1]}")
    if len(x) != len(y):
        raise ConfigError(f"--data_dir={shown(data_dir)}: {image_file.name} holds {len(x):,} images but "
                          f"{label_file.name} {len(y):,} labels; download both again")
    if wrong := bad_label(y, classes):
        raise label_file.damaged(wrong)
    return Examples(x.reshape(len(x), -1), y.astype(np.int32))


def _locate(dataset: str, data_dir: str, name: str) -> DataFile:
    """Finds a file such as `train-images-idx3-ubyte`, also gzipped or named `train-images.idx3-ubyte`."""
    dotted = name.replace("-idx", ".idx")
    return locate(data_dir, dataset, (f"{name}.gz", name, f"{dotted}.gz", dotted))
