"""The pictures of an evaluation: which classes are confused, and whether confidence is justified."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from reglab.console.format import percent
from reglab.evaluate.report import class_name, title
from reglab.lab.plots.style import BLUE, figure, numbers

_MOST_BELOW: Final = 40
"""The most characters of names below the picture that are not turned."""
_MOST_NUMBERS: Final = 20
"""The most classes for which the counts are written into the fields."""


def confusion_picture(result: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    """Draws `confusion.png` and `confusion.svg`, if there is a matrix; shades are shares of the true class."""
    if result["confusion"] is None:
        return
    counts = np.array(result["confusion"])
    with np.errstate(invalid="ignore"):
        shares = np.nan_to_num(counts / counts.sum(1, keepdims=True))
    size = min(4 + 0.35 * len(counts), 12)
    with figure(directory, "confusion", figsize=(size + 1, size)) as (drawing, axes):
        axis = axes[0, 0]
        image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axis.grid(False)
        if len(counts) <= _MOST_NUMBERS:
            for (row, column), count in np.ndenumerate(counts):
                if count:
                    axis.text(column, row, f"{count:,}", ha="center", va="center", fontsize=8,
                              color="white" if shares[row, column] > 0.6 else "black")
            names = [_name(result, k) for k in range(len(counts))]
            axis.set_xticks(range(len(counts)), names, rotation=90 if sum(map(len, names)) > _MOST_BELOW else 0)
            axis.set_yticks(range(len(counts)), names)
        axis.set_xlabel("predicted class")
        axis.set_ylabel("true class")
        drawing.colorbar(image, ax=axis, label="share of the true class", shrink=0.8)
        drawing.suptitle(_confused(result, counts), fontsize=11)


def _confused(result: Mapping[str, Any], counts: np.ndarray) -> str:
    wrong = counts - np.diag(np.diag(counts))
    lead = f"{percent(result['accuracy']['value'])} of {title(result)} are right"
    if not wrong.any():
        return lead
    true, predicted = np.unravel_index(int(wrong.argmax()), wrong.shape)
    times = "once" if wrong.max() == 1 else f"{wrong.max():,} times"
    return (f"{lead};\nthe most frequent error is {_name(result, int(true))} taken for "
            f"{_name(result, int(predicted))}, {times}")


def _name(result: Mapping[str, Any], label: int) -> str:
    """The name of a class as Matplotlib shows it as it is, without taking anything in it for a formula."""
    return class_name(result, label).replace("$", r"\$")


def calibration_picture(result: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    """Draws `calibration.png` and `calibration.svg`: accuracy against confidence, and examples, by bin."""
    calibration = result["calibration"]
    bins = calibration["bins"]
    confidence, accuracy = (numbers([one[key] for one in bins]) for key in ("confidence", "accuracy"))
    left, width = np.array([one["low"] for one in bins]), 1 / len(bins)
    with figure(directory, "calibration", figsize=(6, 6.5), nrows=2, ncols=1, sharex=True,
                height_ratios=(3, 1)) as (drawing, axes):
        above, below = axes[:, 0]
        above.plot([0, 1], [0, 1], color="0.4", linestyle=":", label="as right as it is confident")
        above.bar(left, np.nan_to_num(accuracy), width, align="edge", color=BLUE, alpha=0.35,
                  label="accuracy in the bin")
        above.plot(confidence, accuracy, marker="o", linestyle="none", color=BLUE, label="at its mean confidence")
        above.set_ylabel("accuracy")
        above.set_ylim(0, 1.02)
        above.legend(loc="upper left")
        below.bar(left, [one["examples"] for one in bins], width, align="edge", color="0.6")
        below.set_ylabel("examples")
        below.set_xlabel("confidence: probability of the predicted class")
        below.set_xlim(0, 1)
        drawing.suptitle(_calibrated(result), fontsize=11)


def _calibrated(result: Mapping[str, Any]) -> str:
    calibration, accuracy = result["calibration"], result["accuracy"]["value"]
    mean = calibration["confidence"]
    how = "more" if mean > accuracy else "less"
    return (f"Confidence is {percent(mean)} on average, {100 * abs(mean - accuracy):.2f} points {how} than the "
            f"accuracy;\nexpected calibration error {100 * calibration['expected_error']:.2f} % ({title(result)})")
