"""Student's t, means with their errors, and the intervals made of them, against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from reglab.lab.intervals import FRACTION, interval, mean_and_error, t_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 10, 29, 100, 999])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.9, 0.975, 0.995])
def test_quantiles_are_those_of_scipy(probability: float, freedom: int) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_intervals_are_those_of_scipy(confidence: float) -> None:
    values = np.random.default_rng(0).normal(3, 2, 5)
    low, high = stats.t.interval(confidence, 4, loc=values.mean(), scale=stats.sem(values))
    assert interval(values, confidence=confidence) == pytest.approx((values.mean(), low, high), rel=1e-12)


def test_intervals_go_over_the_last_axis() -> None:
    values = np.random.default_rng(0).normal(size=(3, 2, 4))
    ends = interval(values)
    assert [end.shape for end in ends] == [(3, 2)] * 3
    assert [end[2, 1] for end in ends] == pytest.approx(interval(values[2, 1]), rel=1e-14)


def test_an_interval_of_accuracies_stays_within_0_and_100_per_cent() -> None:
    values = np.array([0.99, 1.0, 0.97])
    mean, low, high = interval(values, FRACTION)
    expected = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
    assert expected[1] > 1
    assert (mean, low, high) == pytest.approx((values.mean(), expected[0], 1.0), rel=1e-12)
    assert interval(1 - values, FRACTION)[1] == 0


def test_a_single_value_has_a_mean_and_no_interval() -> None:
    mean, low, high = interval(np.array([2.5]), FRACTION)
    assert mean == 2.5
    assert math.isnan(low) and math.isnan(high)


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert interval(np.array([0.5, 0.5, 0.5])) == (0.5, 0.5, 0.5)


def test_weights_that_are_equal_change_nothing() -> None:
    values = np.random.default_rng(0).normal(size=(2, 5))
    for one, other in zip(mean_and_error(values), mean_and_error(values, np.full(5, 7)), strict=True):
        assert one == pytest.approx(other, rel=1e-14)
    assert mean_and_error(values)[1] == pytest.approx(stats.sem(values, axis=-1), rel=1e-12)


def test_the_error_over_folds_is_that_of_glmnet() -> None:
    """cv.glmnet: cvm = weighted.mean(x, N), cvsd = sqrt(weighted.mean((x - cvm)^2, N) / (length(N) - 1))."""
    values, sizes = np.array([0.5, 0.25, 0.75]), np.array([20, 20, 10])
    mean = (20 * 0.5 + 20 * 0.25 + 10 * 0.75) / 50
    variance = (20 * (0.5 - mean) ** 2 + 20 * (0.25 - mean) ** 2 + 10 * (0.75 - mean) ** 2) / 50
    assert mean_and_error(values, sizes) == pytest.approx((mean, math.sqrt(variance / 2)), rel=1e-14)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_diverged_makes_the_interval_not_finite(bad: float) -> None:
    assert not np.isfinite(interval(np.array([1.0, bad]))).any()
