"""A user's own arrays, checked: from Python or from an .npz file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.data.examples import Examples, Undivided
from reglab.data.labels import Labels, checked_labels, class_numbers
from reglab.inputs.texts import one_line, shown


class _Part(NamedTuple):
    """A part of the data: flat inputs, the shape of one, the divisor, and labels that are not yet numbered."""

    x: npt.NDArray[Any]
    shape: tuple[int, ...]
    divisor: float
    labels: Labels


def undivided_arrays(where: str, name: str, arrays: Mapping[str, npt.ArrayLike]) -> Undivided:
    """Makes a data set from `x_train`, `y_train` and, both or neither, `x_test`, `y_test`.

    Labels are whole numbers, texts or truth values. Their classes are numbered in sorted order; unless the labels are
    0 … classes-1 already, they are kept as the names of the classes. For x, bool becomes uint8 with divisor 1, uint8
    stays with divisor 255, and other integers and floats become float32 with divisor 1, so integers above 2^24 are
    rounded.

    Raises:
      ConfigError: an array is missing or cannot be used; the message starts with `where`.
    """
    parts = ("train", "test") if {"x_test", "y_test"} & arrays.keys() else ("train",)
    for needed in (f"{array}_{part}" for part in parts for array in "xy"):
        if needed not in arrays:
            raise ConfigError(f"{where}: {needed} is missing, found {', '.join(arrays) or 'nothing'}; "
                              "give x_train and y_train, and x_test and y_test both or neither")
    train, test = _part(where, "train", arrays), None
    if "x_test" in arrays:
        test = _part(where, "test", arrays)
        if test.shape != train.shape:
            raise ConfigError(f"{where}: x_test holds examples of shape {test.shape} but x_train of {train.shape}; "
                              "give both the same shape")
        if test.divisor != train.divisor or test.x.dtype != train.x.dtype:
            raise ConfigError(f"{where}: x_test is {np.asarray(arrays['x_test']).dtype} but x_train "
                              f"{np.asarray(arrays['x_train']).dtype}; give both the same type")
    labels = {f"{where}: y_train": train.labels} | ({} if test is None else {f"{where}: y_test": test.labels})
    numbers, classes, names = class_numbers(labels)
    return Undivided(name, Examples(train.x, numbers[f"{where}: y_train"]),
                     None if test is None else Examples(test.x, numbers[f"{where}: y_test"]), classes, train.shape,
                     train.divisor, class_names=names)


def _part(where: str, part: str, arrays: Mapping[str, npt.ArrayLike]) -> _Part:
    x_where, y_where = f"{where}: x_{part}", f"{where}: y_{part}"
    x, y = _as_array(x_where, arrays[f"x_{part}"]), _as_array(y_where, arrays[f"y_{part}"])
    if x.ndim < 2 or not x.size:
        raise ConfigError(f"{x_where} has shape {x.shape}; give [examples, features] or [examples, height, width, …], "
                          "with at least one of each")
    inputs, divisor = as_inputs(x_where, x)
    return _Part(inputs.reshape(len(x), -1), x.shape[1:], divisor, checked_labels(y_where, y, len(x)))


def _as_array(where: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except Exception as error:  # Array-likes of other libraries may raise anything.
        raise ConfigError(f"{where} is no array ({one_line(error, 200)}); give one with equal rows") from None


def as_inputs(where: str, x: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], float]:
    """Returns `x` as uint8 or float32, and its divisor.

    Raises:
      ConfigError: it is of another type, or holds numbers that are not finite in float32.
    """
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
