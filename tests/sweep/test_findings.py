"""What a sweep is said to have found, on made points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from reglab.sweep.choice import choose
from reglab.sweep.findings import findings_of
from reglab.sweep.results import mean_and_error

BASE = np.array([0.30, 0.32, 0.28])


def swept(points: Sequence[dict[str, Any]], losses: Sequence[np.ndarray], *, folds: int | None = None,
          vary: str = "weights", weights: np.ndarray | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `sweep.json` of made points with the validation data losses [folds, seeds] or [seeds], and its findings."""
    values = np.stack([loss if folds else loss[None] for loss in losses], axis=1)
    alive = np.isfinite(values)
    made = [{"l2": 0.0, "learning_rate": 1e-3, "penalize": "all", "diverged": int((~alive[:, at]).sum()),
             "norm_l1": {"mean": 1.0, "se": None},
             "validation": {"data_loss": mean_and_error(values[:, at], alive[:, at], weights)}, **point}
            for at, point in enumerate(points)]
    grid = {name: list(dict.fromkeys(point[name] for point in made)) for name in ("l1", "l2", "learning_rate",
                                                                                  "penalize")}
    best, chosen = choose(made, "data_loss")
    result = {"points": made, "grid": grid, "seeds": values.shape[2], "folds": folds, "vary": vary,
              "selection": "data_loss", "best": best, "one_standard_error": chosen}
    return result, findings_of(result, {"data_loss": values, "accuracy": 1 - values}, weights)


def test_that_no_penalty_is_as_good_is_said() -> None:
    losses = [BASE, BASE - [0.001, -0.001, 0.002], BASE + 0.1]
    _, found = swept([{"l1": 0.0}, {"l1": 1e-5}, {"l1": 1e-2}], losses)
    assert found["title"] == "No penalty tested is better than none, as far as 3 seeds on one split can tell"
    assert found["sentences"][0].startswith(
        "No penalty tested is better than none, as far as 3 seeds on one split can tell: with l1 = 1e-05 the "
        "validation data loss is lowest, 0.2993 nats, 0.0007 nats lower than without a penalty (95 % interval -0.0031 "
        "to 0.0045, ")
    assert found["difference"]["data_loss"]["p"] == pytest.approx(stats.ttest_rel(losses[1], losses[0]).pvalue)
    assert len(found["sentences"]) == 2
    assert found["standard_error"] == (
        "One-standard-error point: l1 = 1e-05. The standard error is over 3 seeds on one split: the chance of the "
        "initial weights, not the sampling error of the validation examples.")


def test_the_edge_of_the_grid_and_what_was_not_tested_are_named() -> None:
    _, found = swept([{"l1": 1e-4}, {"l1": 1e-3}], [BASE, BASE - 0.1], vary="order")
    assert found["sentences"][-1] == ("The best l1 is the largest tested, so a larger one may be better; no penalty at "
                                      "all was not tested: with 0 among the strengths, it will be.")
    assert "than with the next best, l1 = 0.0001 (95 %" in found["sentences"][0]
    assert "the initial weights and of the order of the data" in found["standard_error"]
    _, found = swept([{"l1": 0.0}, {"l1": 1e-4}, {"l1": 1e-3}], [BASE, BASE - 0.1, BASE])
    assert len(found["sentences"]) == 3
    assert found["sentences"][2] == "L1 = 0.001 is not shown to be better than none."


def test_folds_are_paired_and_weighed_by_their_size() -> None:
    sizes = np.array([11, 11, 10])
    folds = np.stack([BASE, BASE + 0.02], axis=1)
    losses = [folds, folds - np.array([[0.03], [0.05], [0.04]])]
    result, found = swept([{"l1": 0.0}, {"l1": 1e-3}], losses, folds=3, weights=sizes)
    difference = found["difference"]["data_loss"]
    mean = np.average([-0.03, -0.05, -0.04], weights=sizes)
    variance = np.average((np.array([-0.03, -0.05, -0.04]) - mean) ** 2, weights=sizes)
    error = np.sqrt(variance / 2 * (1 + 3 / 2))
    assert difference["mean"] == pytest.approx(mean)
    assert (difference["low"], difference["high"]) == pytest.approx(stats.t.interval(0.95, 2, loc=mean, scale=error))
    assert found["needed"] is None
    assert "paired over 3 folds" in found["sentences"][0]
    assert found["standard_error"].endswith("The standard error is over 3 folds, weighed by their size.")
    assert result["points"][0]["validation"]["data_loss"]["mean"] == pytest.approx(
        np.average(BASE + 0.01, weights=sizes))


def test_what_diverged_is_not_compared() -> None:
    _, found = swept([{"l1": 0.0}, {"l1": 1e-3}, {"l1": 1.0}], [BASE, BASE - 0.1, BASE * [1, np.nan, 1]])
    assert found["sentences"][-1] == "1 of 3 points had lanes that diverged and is not compared."
    _, found = swept([{"l1": 0.0}, {"l1": 1e-3}], [BASE * np.nan] * 2)
    assert found["sentences"] == ["Nothing was found: 2 of 2 points had lanes that diverged and are not compared."]
    assert found["standard_error"] == "No one-standard-error point: a lane of every point diverged."


def test_one_seed() -> None:
    _, found = swept([{"l1": 0.0}, {"l1": 1e-3}, {"l1": 1e-2}], [np.array([loss]) for loss in (0.3, 0.2, 0.4)])
    assert found["sentences"][0] == ("With l1 = 0.001 the validation data loss is lowest, 0.2000 nats, 0.10 nats lower "
                                     "than without a penalty; one seed gives no interval, so this may be chance.")
    assert found["standard_error"].endswith("a standard error needs --seeds=2 or more, or --folds.")


def test_learning_rates_and_layers_are_named_where_they_vary() -> None:
    points = [{"l1": l1, "learning_rate": rate, "penalize": layers} for l1 in (0.0, 0.1) for rate in (0.01, 0.1)
              for layers in ("all", "hidden")]
    losses = [BASE + 0.01 * shift for shift in (0, 0, 5, 5, 2, -9, 3, 4)]
    _, found = swept(points, losses)
    assert (found["best"], found["reference"]) == ("with l1 = 0.1, penalize = hidden at learning rate 0.01",
                                                   "without a penalty at learning rate 0.01")
    assert found["comparisons"] == 2 * 4, "no penalty is the same for all layers, so it counts once a learning rate"
    _, found = swept([{"l1": 0.0, "learning_rate": rate} for rate in (0.1, 0.01)], [BASE, BASE - 0.1])
    assert found["best"] == "without a penalty at learning rate 0.01"
