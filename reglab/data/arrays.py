"""A user's own arrays, checked: from Python or from an .npz file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.data.examples import Examples, Undivided
from reglab.inputs.texts import one_line, shown

_MOST_CLASSES: Final = 10**6


def undivided_arrays(where: str, name: str, arrays: Mapping[str, npt.ArrayLike]) -> Undivided:
    """Makes a data set from `x_train`, `y_train` and, both or neither, `x_test`, `y_test`.

    The classes are 0 to the largest label of either part. For x, bool becomes uint8 with divisor 1, uint8 stays with
    divisor 255, and other integers and floats become float32 with divisor 1, so integers above 2^24 are rounded.

    Raises:
      ConfigError: an array is missing or cannot be used; the message starts with `where`.
    """
    parts = ("train", "test") if {"x_test", "y_test"} & arrays.keys() else ("train",)
    for needed in (f"{array}_{part}" for part in parts for array in "xy"):
        if needed not in arrays:
            raise ConfigError(f"{where}: {needed} is missing, found {', '.join(arrays) or 'nothing'}; "
                              "give x_train and y_train, and x_test and y_test both or neither")
    (train, shape, divisor), test = _part(where, "train", arrays), None
    if "x_test" in arrays:
        test, test_shape, test_divisor = _part(where, "test", arrays)
        if test_shape != shape:
            raise ConfigError(f"{where}: x_test holds examples of shape {test_shape} but x_train of {shape}; "
                              "give both the same shape")
        if test_divisor != divisor or test.x.dtype != train.x.dtype:
            raise ConfigError(f"{where}: x_test is {np.asarray(arrays['x_test']).dtype} but x_train "
                              f"{np.asarray(arrays['x_train']).dtype}; give both the same type")
    classes = 1 + max(int(part.y.max()) for part in (train, test) if part is not None)
    return Undivided(name, train, test, max(classes, 2), shape, divisor)


def _part(where: str, part: str, arrays: Mapping[str, npt.ArrayLike]) -> tuple[Examples, tuple[int, ...], float]:
    x_where, y_where = f"{where}: x_{part}", f"{where}: y_{part}"
    x, y = _as_array(x_where, arrays[f"x_{part}"]), _as_array(y_where, arrays[f"y_{part}"])
    if x.ndim < 2 or not x.size:
        raise ConfigError(f"{x_where} has shape {x.shape}; give [examples, features] or [examples, height, width, …], "
                          "with at least one of each")
    inputs, divisor = _inputs(x_where, x)
    return Examples(inputs.reshape(len(x), -1), _labels(y_where, y, len(x))), x.shape[1:], divisor


def _as_array(where: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except Exception as error:  # Array-likes of other libraries may raise anything.
        raise ConfigError(f"{where} is no array ({one_line(error, 200)}); give one with equal rows") from None


def _inputs(where: str, x: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], float]:
    """Returns `x` as uint8 or float32, and its divisor."""
    if x.dtype == np.uint8:
        return x, 255.0
    if x.dtype == np.bool_:
        return x.astype(np.uint8), 1.0
    if x.dtype.kind not in "iuf":
        raise ConfigError(f"{where} has type {shown(str(x.dtype), 60)}; give uint8, bool, integers or floats")
    with np.errstate(over="ignore"):  # what overflows is reported below, with its value
        converted = x.astype(np.float32)
    finite = np.isfinite(converted)
    if not finite.all():
        first = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), x.shape))
        raise ConfigError(f"{where}{list(first)} is {x[first]} and {np.sum(~finite):,} of {x.size:,} values are not "
                          "finite in float32; remove or replace them")
    return converted, 1.0


def _labels(where: str, y: npt.NDArray[Any], examples: int) -> npt.NDArray[np.int32]:
    """Returns `y` as int32 [examples]."""
    name = where.rpartition(" ")[2]
    if y.ndim == 2 and y.shape[1] > 1:
        raise ConfigError(f"{where} has shape {y.shape}, as if one-hot; give class numbers: {name}.argmax(axis=1)")
    if y.ndim != 1:
        raise ConfigError(f"{where} has shape {y.shape}; give one class number an example: {name}.reshape(-1)")
    if y.dtype.kind not in "iu":
        raise ConfigError(f"{where} has type {shown(str(y.dtype), 60)}; give whole numbers: {name}.astype(int)")
    if len(y) != examples:
        raise ConfigError(f"{where} has {len(y):,} labels for {examples:,} examples; give one an example")
    wrong = np.flatnonzero((y < 0) | (y >= _MOST_CLASSES))
    if len(wrong):
        raise ConfigError(f"{where}[{wrong[0]}] is {y[wrong[0]]}; number the classes from 0, to {_MOST_CLASSES - 1:,} "
                          "at most")
    return y.astype(np.int32)
