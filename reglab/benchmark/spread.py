"""What several measurements of one thing came to."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from typing import Any

Spread = dict[str, float]
"""{"median", "min", "max"}: the form in which every figure of the benchmark is reported."""


def spread(values: Sequence[float]) -> Spread:
    """Median and range."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(values: Sequence[float], base: Sequence[float]) -> Spread:
    """Values over those of the base in the same round, so that drift of the machine meets both alike."""
    return spread([value / other for value, other in zip(values, base, strict=True)])


def strict_json(result: Any) -> str:
    """JSON as the standard has it: the losses of a run that diverged, infinite or NaN, become null."""
    return json.dumps(_finite(result), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
