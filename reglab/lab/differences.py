"""Paired differences: intervals, p-values, Holm's correction, and how many pairs would show a difference.

Two configurations that were trained from the same seeds, or on the same folds, are compared pair by pair: the effect
that a seed has on both cancels.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from reglab.lab.intervals import CONFIDENCE, mean_and_error, t_quantile

LEVEL: Final = 1 - CONFIDENCE
"""The level of the tests: the chance of finding a difference if there is none."""
POWER: Final = 0.8
MOST_NEEDED: Final = 10_000


class Differences(NamedTuple):
    """Paired differences d [..., n], summarized over the pairs.

    Attributes:
      mean, low, high: [...] the mean and its interval.
      p: [...] the p-value of Student's two-sided test that the mean is 0; NaN for a single pair.
      deviation: [...] the standard deviation of a difference, √n times the standard error.
    """

    mean: npt.NDArray[Any]
    low: npt.NDArray[Any]
    high: npt.NDArray[Any]
    p: npt.NDArray[Any]
    deviation: npt.NDArray[Any]


def paired(one: npt.NDArray[Any], other: npt.NDArray[Any], *, weights: npt.NDArray[Any] | None = None,
           are_folds: bool = False) -> Differences:
    """Computes the differences `one` − `other`, [..., n] each, over n pairs.

    Student's interval m ± t · e and p = 2 P(T ≤ −|m / e|), T with n − 1 degrees of freedom, with m and e from
    `intervals.mean_and_error`; without weights this is `scipy.stats.ttest_rel`. If all differences are equal, p is 1 if
    they are 0 and else 0.

    Args:
      weights: [n] the weights of the pairs, such as the sizes of folds.
      are_folds: whether the pairs are the n folds of a cross-validation. Folds share training examples, so e, which
        assumes that they are independent, is too small; it is widened by √(1 + n · n₂ / n₁), with n₂ / n₁ = 1 / (n − 1)
        held-out examples for each to train on (Nadeau and Bengio 2003, section 3).
    """
    differences = np.asarray(one) - other
    count = differences.shape[-1]
    mean, error = mean_and_error(differences, weights)
    if count == 1:
        nothing = np.full_like(mean, math.nan)
        return Differences(mean, nothing, nothing, nothing, nothing)
    if are_folds:
        error = error * math.sqrt(1 + count / (count - 1))
    half_width = t_quantile((1 + CONFIDENCE) / 2, count - 1) * error
    return Differences(mean, mean - half_width, mean + half_width, _p_values(mean, error, count - 1),
                       math.sqrt(count) * error)


def _p_values(mean: npt.NDArray[Any], error: npt.NDArray[Any], freedom: int) -> npt.NDArray[Any]:
    from scipy.special import stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(freedom, -np.abs(mean / error))
    return np.where(error == 0, np.where(mean == 0, 1.0, 0.0), p)


def holm(p: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Holm's step-down correction of m p-values [m]: any true hypothesis gets one below α with a chance of at most α.

    In ascending order, p'(i) = max over j ≤ i of min(1, (m − j + 1) · p(j)) (Holm 1979).
    """
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return corrected


def pairs_needed(mean: float, deviation: float, comparisons: int = 1) -> int | None:
    """Returns how many pairs would show a difference whose mean and standard deviation are as measured.

    This is the least n ≥ 2 at which Student's paired two-sided test at level α / m finds the difference, in its
    direction, with power 0.8, for α = 0.05 and m comparisons (Holm's first step): see `power`. None if there is no
    difference, or if n would exceed 10,000.
    """
    if deviation == 0:
        return 2 if mean else None
    effect, short, enough = abs(mean) / deviation, 1, 2
    while power(enough, effect, comparisons) < POWER:
        short, enough = enough, 2 * enough
        if short > MOST_NEEDED:
            return None
    while enough - short > 1:
        middle = (short + enough) // 2
        if power(middle, effect, comparisons) < POWER:
            short = middle
        else:
            enough = middle
    return enough if enough <= MOST_NEEDED else None


def power(pairs: int, effect: float, comparisons: int = 1) -> float:
    """Computes the chance that the test of `pairs_needed` finds a difference of `effect` standard deviations.

    1 − F(q) with the quantile q of 1 − α / 2m of Student's t, and F the distribution function of the noncentral t
    with noncentrality √n · effect, both with n − 1 degrees of freedom (Cohen 1988, chapter 2).
    """
    from scipy.special import nctdtr

    threshold = t_quantile(1 - LEVEL / (2 * comparisons), pairs - 1)
    return 1 - float(nctdtr(pairs - 1, math.sqrt(pairs) * effect, threshold))
