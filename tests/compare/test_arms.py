"""The arms, their metrics, the intervals and the paired differences, on made numbers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from reglab.compare.arms import METRICS, Arm, arms_of, measure, metrics_of
from reglab.compare.experiment import lanes_of, tabulate
from reglab.config import Config, ConfigError
from reglab.lab.lanes import Lane, LaneCurves

ARMS = [arm.described(Config(l1=0.5)) for arm in (Arm("none", "no penalty"), Arm("l1", "L1 alone", l1=0.5))]


def table_of(values: np.ndarray) -> dict[str, object]:
    """The table of two arms and three seeds with one number, [evaluations, 6], under every name."""
    return tabulate(ARMS, [7, 8, 9], np.arange(1, 1 + len(values)), dict.fromkeys(METRICS, values))


def test_four_arms_differ_in_the_penalties_alone() -> None:
    arms = arms_of(Config(l1=0.5, l2=0.25))
    assert [(arm.name, arm.l1, arm.l2) for arm in arms] == [
        ("none", 0, 0), ("l1", 0.5, 0), ("l2", 0, 0.25), ("l1_and_l2", 0.5, 0.25)]
    lanes = lanes_of(arms, Config(l1=0.5, l2=0.25, seed=3, learning_rate=0.01, penalize="hidden"), 2)
    assert lanes[:3] == [Lane(l1=l1, learning_rate=0.01, seed=seed, penalize="hidden")
                         for l1, seed in ((0, 3), (0, 4), (0.5, 3))]
    assert arms[3].described(Config(l1=0.5)) == {"name": "l1_and_l2", "title": "L1 and L2", "l1": 0.5, "l2": 0.25}


def test_one_penalty_makes_two_arms_and_none_is_refused() -> None:
    assert [arm.name for arm in arms_of(Config(l1=0.5))] == ["none", "l1"]
    assert [arm.name for arm in arms_of(Config(l2=0.5))] == ["none", "l2"]
    with pytest.raises(ConfigError, match="nothing to compare"):
        arms_of(Config())


def test_no_metric_holds_a_penalty() -> None:
    numbers = np.array([[2.0]])
    curves = LaneCurves(np.array([1]), {"data_loss": numbers, "accuracy": numbers / 4},
                        {"data_loss": 3 * numbers, "accuracy": numbers / 8},
                        {"penalty/total": 1e9 * numbers, "penalty/a/l1": 1e9 * numbers, "norm/a/l1": numbers,
                         "norm/b/l1": 2 * numbers, "norm/a/l2": 1.5 * numbers, "norm/b/l2": 2 * numbers,
                         "sparsity/total": numbers / 4}, {})
    assert {name: values.item() for name, values in measure(curves).items()} == {
        "train_accuracy": 0.5, "validation_accuracy": 0.25, "train_data_loss": 2, "validation_data_loss": 6, "gap": 4,
        "sparsity": 0.5, "norm_l1": 6, "norm_l2": 5}
    assert measure(curves).keys() == metrics_of(measure(curves)).keys()


def test_intervals_and_paired_differences_are_those_of_scipy() -> None:
    values = np.random.default_rng(0).normal(size=(2, 6))
    result = json.loads(json.dumps(table_of(values)))
    none, l1 = result["arms"]
    for arm, own in ((none, values[-1, :3]), (l1, values[-1, 3:])):
        expected = stats.t.interval(0.95, 2, loc=own.mean(), scale=stats.sem(own))
        final = arm["final"]["gap"]
        assert (final["low"], final["high"]) == pytest.approx(expected, rel=1e-10)
        assert final["values"] == pytest.approx(own)
        assert arm["curves"]["gap"]["mean"][-1] == final["mean"] == pytest.approx(own.mean())
    paired = stats.ttest_rel(values[-1, 3:], values[-1, :3]).confidence_interval(0.95)
    difference = l1["difference"]["gap"]
    assert (difference["low"], difference["high"]) == pytest.approx((paired.low, paired.high), rel=1e-10)
    assert none["difference"] is None
    assert result["epochs"] == [1, 2]
    assert result["seeds"] == [7, 8, 9]


def test_what_diverged_is_null_and_counted() -> None:
    result = table_of(np.array([[1, 2, 3, 4, math.nan, math.inf]]))
    none, l1 = result["arms"]  # type: ignore[misc]
    json.dumps(result, allow_nan=False)
    assert (none["diverged"], l1["diverged"]) == (0, 2)
    assert l1["final"]["gap"] == {"mean": None, "low": None, "high": None, "values": [4, None, None]}


def test_one_seed_has_no_interval() -> None:
    result = tabulate(ARMS, [0], np.array([1]), {name: np.array([[1.0, 3.0]]) for name in METRICS})
    assert result["arms"][1]["difference"]["gap"] == {"mean": 2, "low": None, "high": None}
