"""Reads CIFAR's pickles without letting them run code or exhaust memory or time."""

from __future__ import annotations

import io
import pickle
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reglab.inputs.texts import one_line, shown

MOST_READS: Final = 1_200_000
"""The most reads from a pickle; the largest of CIFAR, with the 50,000 images of CIFAR-100, takes 450,000, and a million
if its labels are NumPy's numbers."""


class PickledArray:
    """Stands in for a pickled array of whole numbers, found in `array`.

    A pickle builds a real array through NumPy's private functions, and a damaged or hostile one can make those corrupt
    memory. So the only function of NumPy that the data reach is `frombuffer`, with `reshape` on its result.
    """

    array: npt.NDArray[Any] = np.empty(0, np.uint8)

    def __init__(self, *_: object) -> None:
        pass  # the class, shape and type of an empty array, which the state then replaces

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, column_order, data = state
        self.array = np.frombuffer(data, dtype.whole).reshape(shape, order="F" if column_order else "C")


class _PickledType:
    """Stands in for a pickled dtype."""

    def __init__(self, code: bytes | str, *_: object) -> None:
        self._code, self._order = _text(code), "|"

    def __setstate__(self, state: Any) -> None:
        self._order = _text(state[1])

    @property
    def whole(self) -> np.dtype[Any]:
        """The dtype, if it is one of whole numbers.

        Raises:
          pickle.UnpicklingError: it is another.
        """
        if self._code not in _WHOLE or self._order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"it holds an array of {shown(self._code, 40)}, and only whole numbers are "
                                         "allowed")
        return np.dtype(self._order.replace("|", "<") + self._code)


def _text(code: bytes | str) -> str:
    return code.decode("latin1") if isinstance(code, bytes) else str(code)


def _from_buffer(data: bytes | bytearray, dtype: _PickledType, shape: Any, order: bytes | str) -> PickledArray:
    """What protocol 5 calls to make an array."""
    made = PickledArray()
    made.__setstate__((1, shape, dtype, _text(order) == "F", data))
    return made


def _scalar(dtype: _PickledType, data: bytes) -> int:
    """What NumPy's numbers are made by."""
    return int(np.frombuffer(data, dtype.whole, 1)[0])


def _latin1(text: str, encoding: bytes | str) -> bytes:
    """What protocols without bytes make these by: `_codecs.encode`."""
    if _text(encoding) != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {shown(_text(encoding), 40)}, and only latin1 is "
                                     "allowed")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """What these protocols write in place of bytes if there are none."""
    return b""


_WHOLE: Final = frozenset({"u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"})
_ALLOWED: Final[Mapping[tuple[str, str], Any]] = {
    ("numpy", "ndarray"): PickledArray, ("numpy", "dtype"): _PickledType, ("_codecs", "encode"): _latin1,
    ("__builtin__", "bytes"): _no_bytes, ("builtins", "bytes"): _no_bytes,
    # NumPy 2 moved its private functions to _core.
    **{(f"numpy.{core}.{module}", name): stand_in for core in ("core", "_core") for module, name, stand_in in (
        ("multiarray", "_reconstruct", PickledArray), ("multiarray", "scalar", _scalar),
        ("numeric", "_frombuffer", _from_buffer))},
}


class _Stream(io.BytesIO):
    """The bytes of a pickle, which may be read at most `most` times."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._left = most

    def read(self, size: int | None = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise pickle.UnpicklingError("it has more parts than any file of CIFAR")
        return super().read(size)


_PythonUnpickler: Final[Any] = pickle._Unpickler


class _ArraysOnly(_PythonUnpickler):
    """The unpickler written in Python: the one in C allocates what a pickle declares before it sees the data.

    Keys must be texts, since hashing a tuple of tuples of tuples … takes time exponential in the length of the pickle,
    and sets are refused. The contents of a frame are read like everything else.
    """

    dispatch: Final[dict[int, Callable[[Any], None]]] = dict(_PythonUnpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {shown(f'{module}.{name}', 80)}, and only arrays are allowed"
                                         ) from None

    def _load_frame(self) -> None:
        self.read(8)

    def _load_bytearray(self) -> None:
        (length,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(min(length, sys.maxsize))))  # No more than there is.

    def _load_setitem(self) -> None:
        _check_keys(self.stack[-2:-1])
        _PythonUnpickler.load_setitem(self)

    def _load_setitems(self) -> None:
        _check_keys(self.stack[::2])
        _PythonUnpickler.load_setitems(self)

    def _load_dict(self) -> None:
        _check_keys(self.stack[::2])
        _PythonUnpickler.load_dict(self)


_ArraysOnly.dispatch.update({pickle.FRAME[0]: _ArraysOnly._load_frame,
                             pickle.BYTEARRAY8[0]: _ArraysOnly._load_bytearray,
                             pickle.SETITEM[0]: _ArraysOnly._load_setitem,
                             pickle.SETITEMS[0]: _ArraysOnly._load_setitems, pickle.DICT[0]: _ArraysOnly._load_dict})
for _code in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET, pickle.EXT1, pickle.EXT2, pickle.EXT4):
    del _ArraysOnly.dispatch[_code[0]]


def _check_keys(keys: list[Any]) -> None:
    if not all(isinstance(key, str | bytes) for key in keys):
        raise pickle.UnpicklingError("it holds a mapping from something else than texts, and only arrays are allowed")


def unpickle(data: bytes, most: int = MOST_READS) -> Any:
    """Reads a pickle of Python 2 or 3: containers, numbers, bytes, and `PickledArray` for arrays. No code runs.

    Args:
      most: the most reads it may take.

    Raises:
      pickle.UnpicklingError: it is damaged, or asks for anything but these.
    """
    try:
        return _ArraysOnly(_Stream(data, most), encoding="bytes").load()
    except pickle.UnpicklingError:
        raise
    except EOFError:
        raise pickle.UnpicklingError("EOFError: Ran out of input") from None
    except Exception as error:  # pickle documents no complete list: a damaged stream raises almost anything
        raise pickle.UnpicklingError(f"{type(error).__name__}: {one_line(error, 120)}") from None
