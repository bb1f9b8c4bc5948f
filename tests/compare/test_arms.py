"""The arms, their metrics, the intervals and the paired differences, on made numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from reglab.compare.arms import METRICS, Arm, arms_of, measure, metrics_of
from reglab.compare.experiment import lanes_of
from reglab.compare.findings import findings_of
from reglab.compare.results import tabulate
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


def test_what_diverged_is_left_out_of_every_mean_and_counted() -> None:
    values = np.array([[1, 2, 4, 4, 9, 7], [1, 2, 3, 4, math.nan, 7]])
    result = table_of(values)
    none, l1 = result["arms"]  # type: ignore[misc]
    json.dumps(result, allow_nan=False)
    assert (none["diverged"], l1["diverged"]) == (0, 1)
    assert l1["final"]["gap"]["values"] == [4, None, 7]
    low, high = stats.t.interval(0.95, 1, loc=5.5, scale=stats.sem([4, 7]))
    for name, end in (("mean", 5.5), ("low", low), ("high", high)):
        assert l1["final"]["gap"][name] == pytest.approx(end)
        assert l1["curves"]["gap"][name] == pytest.approx([end, end])
    paired = stats.ttest_rel([4, 7], [1, 3]).confidence_interval(0.95)
    difference = l1["difference"]["gap"]
    assert (difference["mean"], difference["low"], difference["high"]) == pytest.approx((3.5, paired.low, paired.high))


def test_an_arm_without_a_seed_left_has_no_numbers() -> None:
    values = np.full((1, 6), 0.125)
    result = tabulate(ARMS, [7, 8, 9], np.array([1]),
                      {**dict.fromkeys(METRICS, values), "validation_data_loss": values * [1, 1, 1, *[math.inf] * 3]})
    l1 = result["arms"][1]
    nothing = {"mean": None, "low": None, "high": None}
    assert l1["diverged"] == 3
    assert l1["difference"]["validation_accuracy"] == nothing
    assert l1["final"]["validation_accuracy"] == {**nothing, "values": [None] * 3}
    assert l1["curves"]["validation_accuracy"] == {name: [None] for name in nothing}


def test_intervals_of_fractions_stay_within_0_and_1_and_others_do_not() -> None:
    result = table_of(np.array([[0.99, 1.0, 0.98, 0.01, 0.0, 0.02]]))
    none, l1 = result["arms"]  # type: ignore[misc]
    for name, metric in METRICS.items():
        is_fraction = metric.unit == "%"
        assert (none["final"][name]["high"] == 1) == is_fraction
        assert (l1["final"][name]["low"] == 0) == is_fraction
        assert (l1["difference"][name]["low"] == -1) == is_fraction


def test_one_seed_has_no_interval() -> None:
    result = tabulate(ARMS, [0], np.array([1]), {name: np.array([[1.0, 3.0]]) for name in METRICS})
    assert result["arms"][1]["difference"]["gap"] == {"mean": 2, "low": None, "high": None}


def compared(none: list[float], l1: list[float]) -> dict[str, Any]:
    """A made `compare.json` of these validation data losses; the accuracies are 1 less them."""
    values = np.array([[*none, *l1]])
    measured = {name: 1 - values if metric.unit == "%" else values for name, metric in METRICS.items()}
    return {"vary": "weights", **tabulate(ARMS, list(range(len(none))), np.array([1]), measured)}


def test_the_findings_are_on_validation_data_and_paired_by_seed() -> None:
    none, l1 = [0.5, 0.6, 0.4], [0.3, 0.41, 0.21]
    found = findings_of(compared(none, l1))
    paired = stats.ttest_rel(l1, none)
    assert found["p"] == pytest.approx(paired.pvalue)
    assert found["difference"]["accuracy"]["low"] == pytest.approx(-paired.confidence_interval(0.95).high)
    assert found["sentences"][0].startswith("With L1 alone the validation data loss is lowest, 0.3067 nats, ")
    assert "paired over 3 seeds on one split" in found["sentences"][0]


def test_an_arm_that_diverged_anywhere_is_not_compared() -> None:
    found = findings_of(compared([0.5, 0.6, 0.4], [0.1, math.nan, 0.1]))
    assert found["sentences"] == ["Without a penalty the validation data loss is 0.5000 nats; there is nothing to "
                                  "compare it with.", "L1 alone diverged in 1 of 3 seeds and is not compared."]
    found = findings_of(compared([math.nan] * 2, [math.inf] * 2))
    assert found["sentences"] == ["Nothing was found: no penalty diverged in 2 of 2 seeds and is not compared; L1 "
                                  "alone diverged in 2 of 2 seeds and is not compared."]
