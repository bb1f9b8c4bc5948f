"""Paired differences, Holm's correction and the power of the test, against SciPy and by hand."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from reglab.lab.differences import MOST_NEEDED, holm, paired, pairs_needed, power


def test_paired_differences_are_those_of_scipy() -> None:
    one, other = np.random.default_rng(0).normal(size=(2, 3, 6))
    ours, theirs = paired(one, other), stats.ttest_rel(one, other, axis=-1)
    ends = theirs.confidence_interval(0.95)
    assert ours.mean == pytest.approx((one - other).mean(-1), rel=1e-12)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-10)
    assert ours.low == pytest.approx(ends.low, rel=1e-10)
    assert ours.high == pytest.approx(ends.high, rel=1e-10)
    assert ours.deviation == pytest.approx((one - other).std(-1, ddof=1), rel=1e-12)


def test_folds_are_weighed_and_widened_as_they_share_examples() -> None:
    """Nadeau and Bengio: the variance of the mean is (1 / K + n2 / n1) s^2, where independence has s^2 / K."""
    one, other = np.random.default_rng(0).normal(size=(2, 5))
    difference, mean = one - other, (one - other).mean()
    error = difference.std(ddof=1) * math.sqrt(1 / 5 + 1 / 4)
    low, high = stats.t.interval(0.95, 4, loc=mean, scale=error)
    for weights in (None, np.full(5, 9)):
        ours = paired(one, other, weights=weights, are_folds=True)
        assert (ours.mean, ours.low, ours.high) == pytest.approx((mean, low, high), rel=1e-12)
        assert ours.p == pytest.approx(2 * stats.t.sf(abs(mean) / error, 4), rel=1e-10)
    assert paired(one, other, weights=np.array([1, 1, 1, 1, 0.0])).mean == pytest.approx(difference[:4].mean())


@pytest.mark.parametrize(("difference", "p"), [(0.0, 1.0), (0.25, 0.0)])
def test_equal_differences_leave_no_doubt(difference: float, p: float) -> None:
    ours = paired(np.full(3, difference), np.zeros(3))
    assert (ours.mean, ours.low, ours.high, ours.p) == (difference, difference, difference, p)


def test_a_single_pair_has_no_interval() -> None:
    ours = paired(np.array([[1.0], [2.0]]), np.array([0.5]))
    assert ours.mean.tolist() == [0.5, 1.5]
    assert np.isnan([ours.low, ours.high, ours.p, ours.deviation]).all()


def test_holms_correction_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # Holm's own example.
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.array([0.2])).tolist() == [0.2]
    assert holm(np.empty(0)).tolist() == []


def test_the_smallest_corrected_value_is_that_of_bonferroni() -> None:
    p = np.random.default_rng(0).random(20) / 20
    assert holm(p).min() == pytest.approx(20 * p.min())
    assert (holm(p) >= p).all()


@pytest.mark.parametrize("comparisons", [1, 3, 66])
@pytest.mark.parametrize("effect", [0.1, 0.3, 1.0, 3.0])
def test_as_many_pairs_as_reach_the_power_and_not_one_fewer(effect: float, comparisons: int) -> None:
    def by_scipy(pairs: int) -> float:
        threshold = stats.t.ppf(1 - 0.05 / (2 * comparisons), pairs - 1)
        return float(stats.nct.sf(threshold, pairs - 1, math.sqrt(pairs) * effect))

    pairs = pairs_needed(-2 * effect, 2.0, comparisons)
    assert pairs is not None
    assert power(pairs, effect, comparisons) == pytest.approx(by_scipy(pairs), rel=1e-8)
    assert by_scipy(pairs - 1) < 0.8 <= by_scipy(pairs)


def test_the_power_is_how_often_the_test_finds_it() -> None:
    samples = np.random.default_rng(0).normal(0.9, 1.0, size=(20_000, 12))
    p = paired(samples, np.zeros(12)).p
    assert power(12, 0.9) == pytest.approx(((p < 0.05) & (samples.mean(1) > 0)).mean(), abs=0.01)


def test_no_difference_is_never_shown_and_a_tiny_one_hardly_ever() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pairs_needed(0.0, 1.0) is None
        assert pairs_needed(1e-4, 1.0) is None
        assert pairs_needed(0.0, 0.0) is None
        assert pairs_needed(1.0, 0.0) == 2
        assert pairs_needed(1e6, 1.0, 10**6) == 2
        assert pairs_needed(0.03, 1.0) < MOST_NEEDED  # type: ignore[operator]
