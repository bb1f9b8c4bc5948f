import pickle

import numpy as np
import pytest

from reglab.data.unpickle import PickledBytes, unpickle

# Pickles of Python 2, such as the published ones, are in test_cifar.py.
ARRAY = np.arange(6, dtype=np.uint8).reshape(2, 3)


@pytest.mark.parametrize("array", [ARRAY, np.asfortranarray(ARRAY), ARRAY[:0]], ids=["rows", "columns", "empty"])
def test_arrays_of_bytes_come_back(array):
    one, (text, pickled) = unpickle(pickle.dumps([1, (b"x", array)], protocol=4))
    assert (one, text) == (1, b"x") and isinstance(pickled, PickledBytes)
    np.testing.assert_array_equal(pickled.array, array)


@pytest.mark.parametrize("value", [np.zeros(2), np.array([None]), np.float64, print, {1: PickledBytes}])
def test_nothing_else_does(value):
    with pytest.raises(pickle.UnpicklingError, match="only (arrays|bytes) are allowed"):
        unpickle(pickle.dumps(value, protocol=4))


def test_damage_is_one_kind_of_error():
    whole = pickle.dumps({b"data": ARRAY, b"labels": [1, 2]}, protocol=4)
    for end in range(len(whole)):
        with pytest.raises(pickle.UnpicklingError):
            unpickle(whole[:end])
