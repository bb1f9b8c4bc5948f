"""Student's t and the intervals made of it, against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from reglab.lab.intervals import Interval, mean_and_half_width, t_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 10, 29, 100, 999])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.9, 0.975, 0.995])
def test_quantiles_are_those_of_scipy(probability: float, freedom: int) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_intervals_are_those_of_scipy(confidence: float) -> None:
    values = np.random.default_rng(0).normal(3, 2, 5)
    interval = Interval.of(values, confidence)
    low, high = stats.t.interval(confidence, 4, loc=values.mean(), scale=stats.sem(values))
    assert (interval.mean, interval.low, interval.high) == pytest.approx((values.mean(), low, high), rel=1e-12)


def test_intervals_go_over_the_last_axis() -> None:
    values = np.random.default_rng(0).normal(size=(3, 2, 4))
    mean, half_width = mean_and_half_width(values)
    assert mean.shape == half_width.shape == (3, 2)
    assert (mean[2, 1], half_width[2, 1]) == (Interval.of(values[2, 1]).mean, Interval.of(values[2, 1]).half_width)


def test_a_single_value_has_a_mean_and_no_interval() -> None:
    interval = Interval.of([2.5])
    assert interval.mean == 2.5
    assert math.isnan(interval.half_width)


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert Interval.of([0.5, 0.5, 0.5]) == Interval(0.5, 0.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_diverged_makes_the_interval_not_finite(bad: float) -> None:
    interval = Interval.of([1.0, bad])
    assert not math.isfinite(interval.mean)
    assert not math.isfinite(interval.half_width)
