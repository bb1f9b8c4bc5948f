"""Scores against scikit-learn, SciPy and sums written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from reglab.trained.scores import BINS, MOST_PAIRS, Tally, exact_interval, log_probabilities

EXAMPLES, CLASSES = 400, 5


def made(seed: int = 0, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are right rather often, and labels without the last class; the one before is never predicted."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes - 1, EXAMPLES).astype(np.int32)
    logits = rng.normal(size=(EXAMPLES, classes)).astype(np.float32)
    logits[np.arange(EXAMPLES), y] += 1.5
    logits[:, -2] = -9
    return logits, y


def scores(logits: np.ndarray, y: np.ndarray, cuts: tuple[int, ...] = ()) -> dict[str, Any]:
    tally = Tally(logits.shape[1])
    for part in zip(np.split(logits, cuts), np.split(y, cuts), strict=True):
        tally.add(*part)
    return tally.scores()


def test_precision_recall_and_confusion_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    logits, y = made()
    found, predicted = scores(logits, y), logits.argmax(1)
    assert found["confusion"] == metrics.confusion_matrix(y, predicted, labels=range(CLASSES)).tolist()
    precision, recall, _, support = metrics.precision_recall_fscore_support(
        y, predicted, labels=range(CLASSES), zero_division=np.nan)
    for k, row in enumerate(found["classes"]):
        assert row["support"] == support[k]
        for name, theirs in (("precision", precision[k]), ("recall", recall[k])):
            assert row[name] is None if np.isnan(theirs) else row[name] == pytest.approx(theirs, rel=1e-15)
    assert found["classes"][-2]["precision"] is None and found["classes"][-1]["recall"] is None
    assert found["accuracy"]["value"] == metrics.accuracy_score(y, predicted)
    assert found["data_loss"] == pytest.approx(
        metrics.log_loss(y, special.softmax(np.float64(logits), axis=1), labels=range(CLASSES)), rel=1e-12)


def test_the_calibration_error_is_the_sum_written_out() -> None:
    logits, y = made(1)
    p = special.softmax(np.float64(logits), axis=1)
    confidence, right = p.max(1), p.argmax(1) == y
    error, found = 0.0, scores(logits, y)["calibration"]
    for k in range(BINS):
        inside = (confidence > k / BINS) & (confidence <= (k + 1) / BINS)
        assert found["bins"][k]["examples"] == inside.sum()
        if not inside.any():
            assert found["bins"][k]["accuracy"] is found["bins"][k]["confidence"] is None
            continue
        assert found["bins"][k]["accuracy"] == pytest.approx(right[inside].mean())
        assert found["bins"][k]["confidence"] == pytest.approx(confidence[inside].mean())
        error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert found["expected_error"] == pytest.approx(error, rel=1e-12)
    assert found["confidence"] == pytest.approx(confidence.mean(), rel=1e-12)


def test_parts_of_any_size_come_to_the_same() -> None:
    logits, y = made(2)
    whole, parted = scores(logits, y), scores(logits, y, (1, 7, 333))
    assert parted["data_loss"] == pytest.approx(whole["data_loss"], rel=1e-12)
    assert (parted["classes"], parted["confusion"]) == (whole["classes"], whole["confusion"])


@pytest.mark.parametrize(("right", "examples"), [(0, 10), (10, 10), (343, 360), (1, 1), (5000, 10_000)])
def test_the_interval_is_clopper_and_pearsons(right: int, examples: int) -> None:
    theirs = stats.binomtest(right, examples).proportion_ci(method="exact")
    assert exact_interval(right, examples) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_large_logits_overflow_nowhere() -> None:
    logits = np.array([[1e4, 0.0], [-1e4, 1e4]], np.float32)
    np.testing.assert_allclose(log_probabilities(logits), special.log_softmax(np.float64(logits), axis=1))


def test_so_many_classes_that_there_is_no_matrix() -> None:
    logits, y = made(classes=MOST_PAIRS + 1)
    found = scores(logits, y)
    assert found["confusion"] is None
    assert len(found["classes"]) == MOST_PAIRS + 1
    assert sum(row["support"] for row in found["classes"]) == EXAMPLES
