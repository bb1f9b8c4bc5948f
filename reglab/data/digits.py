"""The digits that come with reglab: 1,797 real 8x8 images. `digits.md` says where they are from."""

from __future__ import annotations

import importlib.resources

import numpy as np

from reglab.data.examples import Dataset, Examples


def load_digits() -> Dataset:
    """1,437 training and 360 validation images with values 0 … 16, uint8.

    The split is part of the file: it is stratified by class and depends on no seed and no flag, so that results on
    the digits compare.
    """
    with importlib.resources.files(__package__).joinpath("digits.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        x, y, held_out = arrays["x"], arrays["y"].astype(np.int32), arrays["validation"]
    everything = Examples(x, y)
    train = np.delete(np.arange(len(everything)), held_out)
    return Dataset("digits", everything.take(train), everything.take(held_out), classes=10, input_shape=(8, 8),
                   divisor=16.0)
