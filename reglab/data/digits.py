"""The digits that come with reglab: 1,797 real 8x8 images. `digits.md` gives their source."""

from __future__ import annotations

import importlib.resources

import numpy as np

from reglab.data.examples import Examples, Undivided


def load_digits() -> Undivided:
    """Reads the 1,437 images for training and validation and the 360 for testing; values 0 … 16, uint8.

    Of the 1,437 images, 360 are for validation. The splits are stored in the file, are stratified by class and depend
    on no seed, so that results on the digits can be compared.
    """
    with importlib.resources.files(__package__).joinpath("digits.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        everything = Examples(arrays["x"], arrays["y"].astype(np.int32))
        validation, test = arrays["validation"], arrays["test"]
    train = np.delete(np.arange(len(everything)), test)
    return Undivided("digits", everything.take(train), everything.take(test), classes=10, input_shape=(8, 8),
                     divisor=16.0, held_out=np.searchsorted(train, validation))
