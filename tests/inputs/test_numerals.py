"""Numbers as users write them, to the edge of what a precision holds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reglab.inputs.numerals import beyond, read_float, read_integer, rounded


@pytest.mark.parametrize(("text", "value"), [("0", 0), (" -7 ", -7), ("0x10", 16), ("0o17", 15),
                                             ("9" * 400, 10**400 - 1)])
def test_whole_numbers(text: str, value: int) -> None:
    assert read_integer(text) == value


@pytest.mark.parametrize(("text", "why"), [("1.5", "no whole number"), ("1e3", "no whole number"), ("", "no whole"),
                                           ("9" * 401, "401 characters"), ("9" * 5000, "5,000 characters")])
def test_no_whole_numbers(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_integer(text)


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("-0.0", 0.0), ("0e999", 0.0), ("1e308", 1e308),
                                             ("5e-324", 5e-324), (".5", 0.5), ("inf", math.inf),
                                             ("-Infinity", -math.inf)])
def test_numbers(text: str, value: float) -> None:
    assert read_float(text) == value


@pytest.mark.parametrize(("text", "why"), [("1e309", "beyond the largest float64"), ("-1e999", "beyond"),
                                           ("1e-400", "would make it 0"), ("-.001e-9999", "would make it 0"),
                                           ("x", "no number"), ("0" * 401, "401 characters")])
def test_no_numbers(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_float(text)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float64"])
def test_what_a_precision_holds(precision: str) -> None:
    info = np.finfo(np.float64 if precision == "float64" else np.float32)
    for value in (0.0, float(info.tiny), float(info.max), -float(info.tiny)):
        assert beyond(value, precision) is None
    below = float(info.tiny) * (1 - 2**-10)
    assert "would make it 0 or lose its digits" in str(beyond(below, precision))
    if precision != "float64":
        assert "is beyond the largest float32" in str(beyond(float(info.max) * 1.01, precision))
        assert "--precision=float64" in str(beyond(1e39, precision))


def test_rounding_is_that_of_numpy() -> None:
    for value in (0.1, 0.99999999, 1e-38, 3e38):
        assert rounded(value, "float32") == float(np.float32(value))
        assert rounded(value, "float64") == value
