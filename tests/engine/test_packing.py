"""What is packed is unpacked unchanged, with the leading axes that it got in between."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from reglab.engine.packing import Packing


class Parts(NamedTuple):
    number: Any
    arrays: tuple[Any, ...]


TEMPLATE = Parts(tf.TensorSpec([]), (tf.TensorSpec([2, 3]), tf.TensorSpec([0]), tf.TensorSpec([4])))


def some(seed: int) -> Parts:
    return tf.nest.map_structure(lambda spec: np.random.default_rng(seed).normal(size=spec.shape), TEMPLATE)


def test_there_and_back() -> None:
    packing = Packing(TEMPLATE)
    packed = packing.pack(some(1)).numpy()
    assert packed.shape == (11,)
    tf.nest.map_structure(np.testing.assert_array_equal, packing.unpack(packed), some(1))


@pytest.mark.parametrize("leading", [(2,), (2, 3), (0,), (0, 3)])
def test_leading_axes_stay(leading: tuple[int, ...]) -> None:
    packing = Packing(TEMPLATE)
    seeds = np.arange(np.prod(leading)).reshape(leading)
    packed = np.zeros([*leading, 11])
    for at in np.ndindex(*leading):
        packed[at] = packing.pack(some(int(seeds[at])))
    found = packing.unpack(packed)
    assert found.number.shape == leading and found.arrays[0].shape == (*leading, 2, 3)
    for at in np.ndindex(*leading):
        tf.nest.map_structure(lambda ours, theirs, at=at: np.testing.assert_array_equal(ours[at], theirs), found,
                              some(int(seeds[at])))


def test_another_structure_is_refused() -> None:
    with pytest.raises((TypeError, ValueError)):
        Packing(TEMPLATE).pack((1.0, 2.0))
