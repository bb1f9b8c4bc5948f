"""Checks that inputs have the shape, the type and the units of the data that a network was trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.inputs.texts import shown
from reglab.trained.source import Source


def check_inputs(where: str, shape: Sequence[int], dtype: np.dtype[Any], source: Source) -> None:
    """Checks a shape and a type: [n, *input_shape] or, if one of the two is flat, as many numbers per example.

    Raises:
      ConfigError: the shape is different, or numbers of that type are not in the units of the run's data.
    """
    ours, theirs = tuple(shape[1:]), source.input_shape
    alike = ours == theirs or (1 in (len(ours), len(theirs)) and math.prod(ours) == math.prod(theirs))
    if not shape or not ours or not alike:
        wanted = ", ".join(map(str, theirs))
        flat = f" or [examples, {math.prod(theirs)}]" if len(theirs) > 1 else ""
        raise ConfigError(f"{where} has shape {shown(str(tuple(shape)), 60)}, and the run takes [examples, {wanted}]"
                          f"{flat}")
    problem = _wrong_type(dtype, source)
    if problem:
        raise ConfigError(f"{where} is {shown(str(dtype), 60)}, and {problem}")


def _wrong_type(dtype: np.dtype[Any], source: Source) -> str | None:
    """Says why numbers of a type cannot be in the units of the run's data; None if they can."""
    divisor = source.divisor
    if source.dtype == "uint8":
        if dtype == np.uint8 or (dtype == np.bool_ and divisor == 1):
            return None
        units = "taken as they are" if divisor == 1 else f"divided by {divisor:g}"
        return f"the run's data are uint8, {units}: give uint8 in the same units, such as the data files have"
    if dtype == np.uint8 and divisor == 1:
        return ("the run's data are numbers taken as they are, while bytes are divided by 255 in training: give them "
                "in the units of the run's data, as float32")
    return None if dtype.kind in "fiub" else "the run's data are numbers: give floats or integers"


def as_trained(where: str, x: npt.NDArray[Any], source: Source, first: int = 0) -> npt.NDArray[Any]:
    """Converts inputs that `check_inputs` accepted to the type in which the run's data were kept.

    Args:
      first: the index of the first example of `x` among all examples, for messages.

    Raises:
      ConfigError: a number is not finite in float32, or beyond the units of the run's data.
    """
    with np.errstate(over="ignore"):
        converted = x.astype(source.dtype, copy=False)
    if source.dtype == "uint8":
        is_right, problem = converted <= source.divisor, f"the run's data go from 0 to {source.divisor:g}"
        if source.divisor == 1:  # The range of bytes that are not divided is unknown.
            return converted
    else:
        is_right, problem = np.isfinite(converted), "it has to be finite in float32"
    if not is_right.all():
        at = tuple(int(i) for i in np.unravel_index(int(np.argmin(is_right)), x.shape))
        raise ConfigError(f"{where}{[first + at[0], *at[1:]]} is {x[at]}: {problem}")
    return converted
