"""Reading CIFAR's pickles without giving them the run of the machine."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt


class PickledBytes:
    """Stands in for a pickled array of bytes, found in `array`: uint8 of any shape.

    A pickle builds a real array through NumPy's private functions, and a damaged or hostile one can make those corrupt
    memory. So nothing of NumPy's is called but `frombuffer`.
    """

    array: npt.NDArray[np.uint8] = np.empty(0, np.uint8)

    def __init__(self, *_: object) -> None:
        pass  # the class, shape and type of an empty array, which the state then replaces

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, column_order, data = state
        if dtype.code not in (b"u1", "u1"):
            raise pickle.UnpicklingError(f"it holds an array of {dtype.code!r}, and only bytes are allowed")
        self.array = np.frombuffer(data, np.uint8).reshape(shape, order="F" if column_order else "C")


class _PickledType:
    def __init__(self, code: bytes | str, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        pass  # byte order and alignment, which single bytes do not have


_ALLOWED: Final[Mapping[tuple[str, str], Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): PickledBytes,
    ("numpy._core.multiarray", "_reconstruct"): PickledBytes,  # its place since NumPy 2
    ("numpy", "ndarray"): PickledBytes,
    ("numpy", "dtype"): _PickledType,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only arrays are allowed") from None


def unpickle(data: bytes) -> Any:
    """What a pickle of Python 2 or 3 holds: containers, numbers, bytes, and `PickledBytes` for arrays. No code runs.

    Raises:
      pickle.UnpicklingError: it is damaged, or asks for anything but these.
    """
    try:
        return _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # the pickle module promises no list: a damaged stream raises almost anything
        raise pickle.UnpicklingError(f"{type(error).__name__}: {error}") from None
