"""Means of few values with their standard errors and 95 % intervals, by Student's t."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

CONFIDENCE: Final = 0.95
UNBOUNDED: Final = (-math.inf, math.inf)
FRACTION: Final = (0.0, 1.0)
"""The bounds of an accuracy."""


def mean_and_error(values: npt.NDArray[Any], weights: npt.NDArray[Any] | None = None) -> tuple[Any, Any]:
    """Computes the mean and its standard error over the last axis of `values` [..., n]: two arrays [...].

    With weights w [n], here scaled to Σ w = 1: mean m = Σ w x, error = √(Σ w (x − m)² / (n − 1)), as `cv.glmnet` does
    for folds weighted by their size (Friedman, Hastie and Tibshirani 2010). Equal weights, or none, give s / √n with
    the standard deviation s of n − 1 degrees of freedom. The error is NaN if n = 1.
    """
    count = values.shape[-1]
    with np.errstate(invalid="ignore"):  # A diverged run is infinite or NaN, and so is the mean over it.
        mean = np.average(values, axis=-1, weights=weights)
        if count == 1:
            return mean, np.full_like(mean, math.nan)
        variance = np.average((values - np.expand_dims(mean, -1)) ** 2, axis=-1, weights=weights)
    return mean, np.sqrt(variance / (count - 1))


def interval(values: npt.NDArray[Any], bounds: tuple[float, float] = UNBOUNDED, confidence: float = CONFIDENCE
             ) -> tuple[Any, Any, Any]:
    """Computes the mean and the ends of its interval over the last axis of `values` [..., n]: three arrays [...].

    This is Student's interval for the mean of the distribution from which independent, roughly normal values were
    drawn, m ± t · s / √n with t of n − 1 degrees of freedom; its ends are NaN if n = 1.

    Args:
      bounds: where the mean must be, as an accuracy is in [0, 1]. The interval is cut off there; as the mean cannot lie
        beyond, the interval covers it as often as before.
    """
    mean, error = mean_and_error(values)
    half_width = t_quantile((1 + confidence) / 2, max(values.shape[-1] - 1, 1)) * error
    return mean, np.maximum(mean - half_width, bounds[0]), np.minimum(mean + half_width, bounds[1])


def t_quantile(probability: float, freedom: int) -> float:
    """Returns t with P(T ≤ t) = `probability`, between 0 and 1, for Student's t with `freedom` ≥ 1 degrees."""
    from scipy.special import stdtrit  # Takes a quarter of a second, and only comparisons need it.
    return float(stdtrit(freedom, probability))
