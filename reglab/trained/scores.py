"""Accuracy and calibration of a classifier, from logits and labels, batch by batch, in float64."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

BINS: Final = 15
"""Bins (low, high] of equal width over confidences from 0 to 1, as in Guo, Pleiss, Sun and Weinberger (2017)."""
MOST_PAIRS: Final = 1000
"""The most classes for which there is a confusion matrix."""
CONFIDENCE: Final = 0.95


def log_probabilities(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Computes the log softmax of [n, classes] logits: float64 [n, classes]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def exact_interval(right: int, examples: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Computes Clopper and Pearson's interval (1934) for the accuracy, if `right` of `examples` are right.

    The examples must be independent. The interval covers the true accuracy with a probability of at least `confidence`,
    and lies within [0, 1].
    """
    from scipy.special import betaincinv  # Takes a quarter of a second; few commands need it.

    tail = (1 - confidence) / 2
    low = float(betaincinv(right, examples - right + 1, tail)) if right else 0.0
    high = float(betaincinv(right + 1, examples - right, 1 - tail)) if right < examples else 1.0
    return low, high


class Tally:
    """Counts and sums over examples.

    Args:
      classes: the number of classes.
    """

    def __init__(self, classes: int) -> None:
        self._classes, self._examples, self._loss = classes, 0, 0.0
        self._support, self._predicted, self._right = (np.zeros(classes, np.int64) for _ in range(3))
        self._pairs = np.zeros((classes, classes), np.int64) if classes <= MOST_PAIRS else None
        self._in_bin, self._right_in_bin = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
        self._confidence_in_bin = np.zeros(BINS)

    def add(self, logits: npt.NDArray[Any], y: npt.NDArray[np.int32]) -> None:
        """Adds examples: [n, classes] logits, [n] labels."""
        log_p, predicted = log_probabilities(logits), logits.argmax(axis=1)
        at, right = np.arange(len(y)), predicted == y
        self._examples += len(y)
        self._loss -= float(log_p[at, y].sum())
        self._support += np.bincount(y, minlength=self._classes)
        self._predicted += np.bincount(predicted, minlength=self._classes)
        self._right += np.bincount(y[right], minlength=self._classes)
        if self._pairs is not None:
            np.add.at(self._pairs, (y, predicted), 1)
        confidence = np.minimum(np.nan_to_num(np.exp(log_p[at, predicted])), 1.0)  # Infinite logits give NaN.
        bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
        self._in_bin += np.bincount(bins, minlength=BINS)
        self._right_in_bin += np.bincount(bins[right], minlength=BINS)
        self._confidence_in_bin += np.bincount(bins, confidence, BINS)

    def scores(self) -> dict[str, Any]:
        """Returns all scores as JSON values; a ratio over no examples is null.

        "accuracy" has the `exact_interval`. "classes" has for each class precision = right / predicted and recall =
        right / support. "confusion" is [true class][predicted class], null for more than `MOST_PAIRS` classes.
        "calibration" has the bins with mean confidence and accuracy, and the expected calibration error
        Σ_bins n_bin / n · |accuracy − confidence|.
        """
        n, right = self._examples, int(self._right.sum())
        low, high = exact_interval(right, n)
        classes = [{"class": k, "precision": _ratio(self._right[k], self._predicted[k]),
                    "recall": _ratio(self._right[k], self._support[k]), "support": int(self._support[k]),
                    "predicted": int(self._predicted[k])} for k in range(self._classes)]
        return {"examples": n, "data_loss": self._loss / n,
                "accuracy": {"value": right / n, "low": low, "high": high, "right": right, "confidence": CONFIDENCE},
                "classes": classes, "confusion": None if self._pairs is None else self._pairs.tolist(),
                "calibration": self._calibration()}

    def _calibration(self) -> dict[str, Any]:
        bins = [{"low": k / BINS, "high": (k + 1) / BINS, "examples": int(self._in_bin[k]),
                 "confidence": _ratio(self._confidence_in_bin[k], self._in_bin[k]),
                 "accuracy": _ratio(self._right_in_bin[k], self._in_bin[k])} for k in range(BINS)]
        error = float(np.abs(self._right_in_bin - self._confidence_in_bin).sum() / self._examples)
        return {"expected_error": error, "confidence": float(self._confidence_in_bin.sum() / self._examples),
                "bins": bins}


def _ratio(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None
