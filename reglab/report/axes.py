"""The axes of a chart: where numbers lie, and which of them are named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

_STEPS: Final = (1, 2, 2.5, 5, 10)
_WHOLE_STEPS: Final = (1, 2, 5, 10)
_WIDE: Final = 20.0
"""From this ratio of the largest to the smallest value on, an axis of losses is logarithmic."""


class Axis(NamedTuple):
    """An axis.

    Attributes:
      low, high: the numbers at its ends, or their logarithms.
      is_log: whether it is logarithmic.
      ticks: numbers to name, with their names.
    """

    low: float
    high: float
    is_log: bool
    ticks: Sequence[tuple[float, str]]

    def share(self, value: float) -> float | None:
        """Returns where a number lies, from 0 at the low end to 1 at the high one; None where it has no place."""
        if self.is_log:
            if value <= 0:
                return None
            value = math.log10(value)
        return (value - self.low) / (self.high - self.low)


def of_epochs(values: Sequence[float]) -> Axis:
    """Makes an axis from 0 to the last of some epochs or steps, of which whole numbers are named."""
    axis = linear(values, from_zero=True, whole=True)
    last = max([*values, 1.0])
    return Axis(0.0, last, False, [tick for tick in axis.ticks if tick[0] <= last])


def linear(values: Sequence[float], *, from_zero: bool = False, whole: bool = False, percent: bool = False) -> Axis:
    """Makes an axis that holds the values and ends at ticks.

    Args:
      from_zero: whether it begins at 0, or ends there where all values are negative.
      whole: whether only whole numbers are named.
      percent: whether the names are percentages of the numbers, which are fractions.
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-12):
        low, high = (low - abs(low) * 0.1 - 1e-9 - 0.01 * percent, high + abs(high) * 0.1 + 1e-9 + 0.01 * percent)
    step = max(1.0, _step((high - low) / 4, _WHOLE_STEPS)) if whole else _step((high - low) / 4, _STEPS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    scale = 100 if percent else 1
    decimals = max(0, -math.floor(math.log10(scale * step) + 1e-9)) + (round(scale * step, 12) % 1 != 0 and
                                                                     f"{scale * step:e}".startswith("2.5"))
    ticks = [(k * step, f"{scale * k * step:,.{decimals}f}") for k in range(first, last + 1)]
    return Axis(first * step, max(last, first + 1) * step, False, ticks)


def of_losses(values: Sequence[float], *, from_zero: bool = True) -> Axis:
    """Makes an axis for losses: logarithmic where they range widely, else from 0 on if that is asked for."""
    if values and min(values) > 0 and max(values) > _WIDE * min(values):
        return logarithmic(values)
    return linear(values, from_zero=from_zero)


def logarithmic(values: Sequence[float]) -> Axis:
    """Makes a logarithmic axis for values that are positive, with ticks at 1, 2 and 5 or at powers of ten."""
    low, high = math.log10(min(values)), math.log10(max(values))
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    digits = (1, 2, 5) if high - low < 2 else (1,)
    every = 1 if high - low < 7 else math.ceil((high - low) / 6)
    ticks = [(digit * 10.0**k, f"{digit * 10.0**k:g}") for k in range(math.floor(low), math.ceil(high) + 1, every)
             for digit in digits]
    margin = 0.03 * (high - low)
    return Axis(low - margin, high + margin, True,
                [tick for tick in ticks if low - margin <= math.log10(tick[0]) <= high + margin])


def named(places: Sequence[float], names: Sequence[str], most: int = 6) -> Axis:
    """Makes an axis for values at given places, of which at most `most` are named."""
    low, high = (min(places), max(places)) if places else (0.0, 1.0)
    margin = 0.04 * (high - low) or 0.5
    every = max(1, -(-len(places) // most))
    return Axis(low - margin, high + margin, False, list(zip(places, names, strict=True))[::every])


def _step(rough: float, steps: Sequence[float]) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in steps if step * power >= rough * (1 - 1e-9))
