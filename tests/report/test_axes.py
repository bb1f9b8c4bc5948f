"""Axes hold their values and name few round numbers."""

from __future__ import annotations

import math

import pytest

from reglab.report.axes import Axis, linear, logarithmic, named, of_epochs, of_losses


def shares(axis: Axis, values: list[float]) -> list[float]:
    found = [axis.share(value) for value in values]
    assert None not in found
    return [share for share in found if share is not None]


@pytest.mark.parametrize("values", [[0.0, 1.0], [0.123, 0.124], [-5.0, -2.0], [1e-12, 3e-12], [7.0], [0.0], [-1e9, 1e9],
                                    [1e300, 1e301], [0.99, 1.0]])
def test_values_lie_within_and_ticks_are_told_apart(values: list[float]) -> None:
    axis = linear(values)
    assert all(-1e-9 <= share <= 1 + 1e-9 for share in shares(axis, values))
    assert 3 <= len(axis.ticks) <= 7 and len({name for _, name in axis.ticks}) == len(axis.ticks)


def test_names() -> None:
    assert [name for _, name in linear([0.0, 0.9], percent=True).ticks] == ["0", "25", "50", "75", "100"]
    assert [name for _, name in linear([0.0, 0.011]).ticks] == ["0.000", "0.005", "0.010", "0.015"]
    assert [name for _, name in of_epochs([1.0, 2.0]).ticks] == ["0", "1", "2"]
    assert [name for _, name in of_epochs([10_000.0]).ticks] == ["0", "5,000", "10,000"]
    assert of_epochs([1.0, 12.0]).share(12.0) == 1.0
    assert [name for _, name in named([1.0, 2.0, 3.0, 4.0], list("abcd"), most=2).ticks] == ["a", "c"]


def test_losses_that_range_widely_are_on_a_logarithmic_axis() -> None:
    assert not of_losses([0.5, 2.3]).is_log and of_losses([0.5, 2.3]).share(0.0) == 0.0
    axis = of_losses([0.01, 2.3])
    assert axis.is_log and axis.share(0.0) is None and axis.share(-1.0) is None
    assert [name for _, name in axis.ticks] == ["0.01", "0.1", "1"]
    low, middle, high = shares(axis, [0.01, math.sqrt(0.023), 2.3])
    assert low < middle < high and middle == pytest.approx((low + high) / 2)
    assert [name for _, name in logarithmic([2.0]).ticks] == ["1", "2", "5"]
