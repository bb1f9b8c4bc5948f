"""The digits that come with reglab: 1,797 real 8x8 images. `digits.md` says where they are from."""

from __future__ import annotations

import importlib.resources

import numpy as np

from reglab.data.examples import Examples, Undivided


def load_digits() -> Undivided:
    """1,437 images to train and validate with and 360 to test with; values 0 … 16, uint8.

    Of the 1,437, 360 are for validation. All of that is part of the file: it is stratified by class and depends on no
    seed, so that results on the digits compare.
    """
    with importlib.resources.files(__package__).joinpath("digits.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        everything = Examples(arrays["x"], arrays["y"].astype(np.int32))
        validation, test = arrays["validation"], arrays["test"]
    train = np.delete(np.arange(len(everything)), test)
    return Undivided("digits", everything.take(train), everything.take(test), classes=10, input_shape=(8, 8),
                     divisor=16.0, held_out=np.searchsorted(train, validation))
