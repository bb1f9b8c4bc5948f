"""Summaries of several measurements of one quantity."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

Spread = dict[str, float]
"""{"median", "min", "max"}: the form in which the benchmark reports every measurement."""


def spread(values: Sequence[float]) -> Spread:
    """Returns the median and the range."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(values: Sequence[float], base: Sequence[float]) -> Spread:
    """Returns values over those of the base in the same round, so that drift of the machine affects both alike."""
    return spread([value / other for value, other in zip(values, base, strict=True)])
