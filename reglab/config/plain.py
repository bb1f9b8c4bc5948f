"""NumPy's numbers as Python's, without importing NumPy."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """Returns the Python value of a number or an array of NumPy, also within lists, tuples and mappings."""
    numpy = sys.modules.get("numpy")
    if numpy is None:  # Then nobody can have made one.
        return value
    if isinstance(value, numpy.generic):
        return value.item()
    if isinstance(value, numpy.ndarray):
        return value.tolist()
    if type(value) in (list, tuple):
        items = type(value)(map(plain, value))
        return value if all(one is other for one, other in zip(items, value, strict=True)) else items
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value
