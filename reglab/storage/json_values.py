"""Prepares values for JSON, which has no NaN or infinity: the one place that turns them into null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def for_json(value: Any) -> Any:
    """Converts a value for JSON: numbers that are not finite become None (null), arrays and tuples become lists.

    Args:
      value: a mapping, list, tuple, NumPy array or number, or any JSON value, nested to any depth.
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # A NumPy value; this avoids importing NumPy.
        return for_json(value.tolist())
    if isinstance(value, Mapping):
        return {name: for_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [for_json(each) for each in value]
    return value


def strict_json(value: Any) -> str:
    """Returns the value as strict JSON, on one line."""
    return json.dumps(for_json(value), allow_nan=False)
