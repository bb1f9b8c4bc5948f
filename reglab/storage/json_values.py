"""Values made ready for JSON, which knows no NaN and no infinity: the one place that turns them into null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def for_json(value: Any) -> Any:
    """A value as JSON has it: numbers that are not finite become null, arrays lists.

    Args:
      value: a mapping, list or tuple, an array or number of NumPy's, or what JSON knows; nested as deep as it likes.
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # NumPy's, which is not imported for this.
        return for_json(value.tolist())
    if isinstance(value, Mapping):
        return {name: for_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [for_json(each) for each in value]
    return value


def strict_json(value: Any) -> str:
    """The value as JSON in the strict sense, on one line."""
    return json.dumps(for_json(value), allow_nan=False)
