import pickle

import numpy as np
import pytest

from reglab.data.unpickle import PickledArray, unpickle

# Pickles of Python 2, such as the published ones, are in test_cifar.py.
ARRAY = np.arange(6, dtype=np.uint8).reshape(2, 3)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", [ARRAY, np.asfortranarray(ARRAY), ARRAY[:0], ARRAY[:, ::2], ARRAY.astype(">i8") - 3,
                                   np.array([2**63], np.uint64)],
                         ids=["rows", "columns", "empty", "slices", "signed", "long"])
def test_arrays_of_whole_numbers_come_back(array, protocol):
    one, (text, pickled) = unpickle(pickle.dumps([1, (b"x", array)], protocol=protocol))
    assert (one, text) == (1, b"x") and isinstance(pickled, PickledArray)
    np.testing.assert_array_equal(pickled.array, array)


@pytest.mark.parametrize("protocol", range(6))
def test_numbers_of_numpy_come_back_as_those_of_python(protocol):
    given = {"labels": [np.int64(-7), np.uint8(255), np.int32(3)], b"more": "é"}
    assert unpickle(pickle.dumps(given, protocol=protocol)) == {"labels": [-7, 255, 3], b"more": "é"}


@pytest.mark.parametrize("value", [np.zeros(2), np.float32(1), np.array([None]), np.float64, print,
                                   {1: PickledArray}, np.array(["x"])])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_nothing_else_does(value, protocol):
    with pytest.raises(pickle.UnpicklingError, match="only (arrays|whole numbers) are allowed"):
        unpickle(pickle.dumps(value, protocol=protocol))


def test_what_is_declared_is_not_allocated():
    for declared in (2**31, 2**62, 2**64 - 1):
        with pytest.raises(pickle.UnpicklingError):
            unpickle(b"\x80\x05" + pickle.BYTEARRAY8 + declared.to_bytes(8, "little") + b"x" * 9)


def test_only_bytes_are_encoded():
    for encoding in (b"utf8", b"rot13"):
        with pytest.raises(pickle.UnpicklingError, match="only latin1 is allowed"):
            unpickle(b"c_codecs\nencode\n(Vx\nV" + encoding + b"\ntR.")


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_damage_is_one_kind_of_error(protocol):
    whole = pickle.dumps({b"data": ARRAY, b"labels": [1, 2]}, protocol=protocol)
    for end in range(len(whole)):
        with pytest.raises(pickle.UnpicklingError):
            unpickle(whole[:end])
