"""Means over seeds, and their differences, paired by seed, with 95 % intervals."""

from __future__ import annotations

import math

import numpy as np

from reglab.lab.intervals import interval
from reglab.reproduce.base import Interval


def mean_of(values: np.ndarray) -> Interval:
    """Returns the mean over the [seeds] values that are finite, with Student's interval."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Interval(math.nan, None, None)
    mean, low, high = (float(number) for number in interval(finite))
    return Interval(mean, *((None, None) if finite.size == 1 else (low, high)))


def lowest(values: np.ndarray) -> int:
    """Returns the first row of [rows, seeds] values with the lowest mean; rows that are not finite come last."""
    return int(np.argmin([np.mean(row) if np.isfinite(row).all() else math.inf for row in values]))


def difference(one: np.ndarray, other: np.ndarray) -> Interval:
    """Returns the mean of one − other over the seeds, seed by seed."""
    return mean_of(one - other)


def is_above(found: Interval, bound: float) -> bool:
    """Whether the whole interval, or the value of a single seed, lies above the bound. NaN does not."""
    return (found.mean if found.low is None else found.low) > bound
