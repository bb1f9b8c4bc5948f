"""Means over few seeds with their 95 % intervals, by Student's t."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

CONFIDENCE: Final = 0.95


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean and the half width of its interval, NaN where a single value gives none."""

    mean: float
    half_width: float

    @staticmethod
    def of(values: Sequence[float] | npt.NDArray[Any], confidence: float = CONFIDENCE) -> Interval:
        """The interval for the mean of what independent, roughly normal `values` [n] were drawn from."""
        mean, half_width = mean_and_half_width(np.asarray(values), confidence)
        return Interval(float(mean), float(half_width))

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half_width


def mean_and_half_width(values: npt.NDArray[Any], confidence: float = CONFIDENCE) -> tuple[Any, Any]:
    """Mean and half width of its interval over the last axis of `values` [..., n]: two arrays [...].

    The half width is t · s / √n with the standard deviation s of n − 1 degrees of freedom; NaN if n = 1.
    """
    count = values.shape[-1]
    with np.errstate(invalid="ignore"):  # A diverged run is infinite or NaN, and so is the mean over it.
        mean = values.mean(-1)
        if count == 1:
            return mean, np.full_like(mean, math.nan)
        deviation = values.std(-1, ddof=1)
    return mean, t_quantile((1 + confidence) / 2, count - 1) * deviation / math.sqrt(count)


def t_quantile(probability: float, freedom: int) -> float:
    """The t with P(T ≤ t) = `probability`, between 0 and 1, for Student's t of `freedom` degrees, at least 1."""
    from scipy.special import stdtrit  # A quarter of a second that only comparisons need.
    return float(stdtrit(freedom, probability))
