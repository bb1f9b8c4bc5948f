"""What is not finite becomes null, wherever it stands."""

from __future__ import annotations

import json
import math
import types
from typing import Any

import numpy as np
import pytest

from reglab.storage.json_values import for_json, strict_json


@pytest.mark.parametrize(("value", "expected"), [
    (math.nan, None), (-math.inf, None), (1.5, 1.5), (True, True), (None, None), ("inf", "inf"), (10**30, 10**30),
    (np.float32(0.1), float(np.float32(0.1))), (np.float64("nan"), None), (np.int64(7), 7), (np.array(np.inf), None),
    (np.array([[1, np.nan], [np.inf, 2]]), [[1.0, None], [None, 2.0]]), ((1.0, math.nan), [1.0, None]),
    ({"a": {"b": [np.float32("inf")]}}, {"a": {"b": [None]}}), (types.MappingProxyType({"a": math.nan}), {"a": None})])
def test_values_are_strict_json(value: Any, expected: Any) -> None:
    assert for_json(value) == expected and type(for_json(value)) is type(expected)
    assert json.loads(strict_json(value)) == expected
