"""Inputs that a run takes, and those that would not mean what its data mean."""

from __future__ import annotations

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.trained.inputs import as_trained, check_inputs
from reglab.trained.source import Source


def source(shape: tuple[int, ...] = (2, 3), divisor: float = 255.0, dtype: str = "uint8") -> Source:
    return Source(Config(), shape, divisor, 3, dtype, {})


@pytest.mark.parametrize(("shape", "given"), [
    ((2, 3), (7, 2, 3)), ((2, 3), (7, 6)), ((6,), (7, 2, 3)), ((6,), (7, 6)), ((2, 3, 1), (7, 6)), ((2, 3), (0, 6))])
def test_with_and_without_flattening(shape: tuple[int, ...], given: tuple[int, ...]) -> None:
    check_inputs("x", given, np.dtype(np.uint8), source(shape))


@pytest.mark.parametrize("given", [(7, 3, 2), (7, 5), (6,), (), (7, 2, 3, 1), (7, 1, 6)])
def test_other_shapes_are_refused(given: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"^x has shape \(.*\), and the run takes \[examples, 2, 3\] or \[examples, "
                                          r"6\]$"):
        check_inputs("x", given, np.dtype(np.uint8), source())


@pytest.mark.parametrize(("divisor", "kept", "given", "why"), [
    (255.0, "uint8", "float32", "uint8, divided by 255"), (255.0, "uint8", "int64", "uint8, divided by 255"),
    (16.0, "uint8", "bool", "uint8, divided by 16"), (1.0, "uint8", "float64", "uint8, taken as they are"),
    (1.0, "float32", "uint8", "while bytes are divided by 255"), (1.0, "float32", "complex128", "floats or integers"),
    (1.0, "float32", "<U3", "floats or integers")])
def test_types_that_do_not_fit_are_refused_with_the_reason(divisor: float, kept: str, given: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"^x is {given}, and the run's data are .*{why}"):
        check_inputs("x", (1, 6), np.dtype(given), source(divisor=divisor, dtype=kept))


@pytest.mark.parametrize(("divisor", "kept", "given"), [
    (255.0, "uint8", "uint8"), (1.0, "uint8", "bool"), (1.0, "uint8", "uint8"), (1.0, "float32", "float64"),
    (1.0, "float32", "int64"), (1.0, "float32", "bool"), (255.0, "float32", "uint8")])
def test_types_that_fit_are_kept_as_the_data_were(divisor: float, kept: str, given: str) -> None:
    x = np.array([[0, 1, 1]]).astype(given)
    check_inputs("x", x.shape, x.dtype, source((3,), divisor, kept))
    found = as_trained("x", x, source((3,), divisor, kept))
    assert found.dtype.name == kept and found.tolist() == [[0, 1, 1]]


def test_numbers_beyond_the_units_of_the_data_are_named_with_their_place() -> None:
    x = np.zeros((3, 2, 3), np.uint8)
    x[1, 0, 2] = 17
    with pytest.raises(ConfigError, match=r"^x\[101, 0, 2\] is 17: the run's data go from 0 to 16$"):
        as_trained("x", x, source(divisor=16.0), first=100)
    for wrong in (np.nan, 1e300):
        numbers = x.astype(np.float64)
        numbers[2, 1, 0] = wrong
        with pytest.raises(ConfigError, match=r"^x\[2, 1, 0\] is .*: it has to be finite in float32$"):
            as_trained("x", numbers, source(divisor=1.0, dtype="float32"))
