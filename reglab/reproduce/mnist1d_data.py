"""MNIST-1D by the generator of its authors, from the package `mnist1d`."""

from __future__ import annotations

import random

import numpy as np

from reglab.config import ConfigError
from reglab.data import Dataset, Examples
from reglab.data.sampling import noisy_labels

_CLASSES = 10
_SEED = 0


def mnist1d(train: int, validation: int, test: int, *, label_noise: float) -> Dataset:
    """Makes that many examples of each split, signals of 40 numbers; the noise is in the labels to train on.

    The generator draws from the seed that its authors chose, and the states of Python's and NumPy's own random
    numbers are as before afterwards.

    Raises:
      ConfigError: the package is not installed.
    """
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ImportError:
        raise ConfigError("mnist1d needs the package of its authors, which makes the data: "
                          "pip install 'reglab[mnist1d]'") from None
    arguments = get_dataset_args()
    arguments.num_samples, arguments.train_split = train + validation + test, train / (train + validation + test)
    states = random.getstate(), np.random.get_state()
    try:
        made = make_dataset(arguments)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    x = np.concatenate([made["x"], made["x_test"]]).astype(np.float32)
    y = np.concatenate([made["y"], made["y_test"]]).astype(np.int32)
    ends = train, train + validation, train + validation + test
    noisy = noisy_labels(y[:train], label_noise, _CLASSES, seed=_SEED)
    held_out, unseen = (Examples(x[first:last], y[first:last]) for first, last in zip(ends, ends[1:], strict=False))
    return Dataset("mnist1d", Examples(x[:train], noisy), held_out, _CLASSES, (x.shape[1],), 1.0, test=unseen)
