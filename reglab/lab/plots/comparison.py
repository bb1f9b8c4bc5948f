"""Draws a comparison: each arm's curves on both splits in its own hue, with the gap between them shaded.

The gap is positive where the network does worse on validation data. With noisy training labels it may be negative, as
the true labels disagree with them; a negative gap is shaded differently.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from reglab.core import penalties
from reglab.lab.plots.style import (
    GAP_FILL,
    HUES,
    NEGATIVE_GAP_FILL,
    STOP,
    curve_style,
    figure,
    finding,
    numbers,
    strength,
)


class _Row(NamedTuple):
    metric: str
    label: str
    scale: float
    gap_text: str
    gap_sign: int  # The sign of the gap where validation is above training.


_ROWS: Final = (_Row("accuracy", "accuracy (%)", 100.0, "gap {:+.1f} points", -1),
                _Row("data_loss", "data loss (nats)", 1.0, "gap {:+.2f} nats", 1))


def compare_picture(result: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    """Draws `compare.png` and `compare.svg`.

    Args:
      result: the contents of `compare.json`.
    """
    arms = result["arms"]
    width = 3.2 * len(arms) + 0.8
    with figure(directory, "compare", figsize=(width, 6.9), nrows=2, ncols=len(arms), sharex=True,
                sharey="row") as (drawing, axes):
        for column, arm in enumerate(arms):
            strengths = ", ".join(f"{name} = {strength(arm[name])}" for name in penalties.names() if name in arm)
            axes[0, column].set_title(f"{arm['title']}\n{strengths}")
            for at, row in enumerate(_ROWS):
                gap = _draw_arm(axes[at, column], np.array(result["epochs"]), arm["curves"], row,
                                HUES[column % len(HUES)])
                if "early_stopping" in result:
                    _draw_stops(axes[at, column], result["early_stopping"]["trained_epochs"][column],
                                HUES[column % len(HUES)])
                    gap = _final_gap(arm["final"], row)
                _tell(axes[at, column], "diverged" if np.isnan(gap) else row.gap_text.format(gap))
                axes[at, 0].set_ylabel(row.label)
            axes[1, column].set_xlabel("epoch")
        axes[1, 0].set_ylim(bottom=0)
        drawing.align_ylabels()
        drawing.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center",
                       ncols=4 + ("early_stopping" in result))
        drawing.suptitle(f"{finding(result, width)}\n{_circumstances(result)}", fontsize=11)


def _circumstances(result: Mapping[str, Any]) -> str:
    seeds, noise = len(result["seeds"]), result["config"]["label_noise"]
    data = result["dataset"] + (f", {100 * noise:.0f} % of the training labels changed" if noise else "")
    return data + "\n" + (f"mean over {result['findings']['over']}, bands are {100 * result['confidence']:.0f} % "
                          "intervals" if seeds > 1 else "one seed")


def _draw_stops(axis: Any, trained: Sequence[int], color: str) -> None:
    """Marks, on the axis of epochs, for how long each seed of an arm was trained."""
    axis.plot(trained, [0] * len(trained), transform=axis.get_xaxis_transform(), clip_on=False, zorder=5,
              label="a seed stopped, frozen in its best state", **{**STOP, "markeredgecolor": color})


def _final_gap(final: Mapping[str, Any], row: _Row) -> float:
    """Returns the gap of the states with which the lanes of an arm end, which may be earlier ones than the last."""
    train, validation = (numbers([final[f"{split}_{row.metric}"]["mean"]])[0] for split in ("train", "validation"))
    return float(row.gap_sign * row.scale * (validation - train))


def _tell(axis: Any, end: str) -> None:
    axis.set_title("\n".join([axis.get_title(), end]).lstrip())


def _draw_arm(axis: Any, epochs: np.ndarray, curves: Mapping[str, Any], row: _Row, color: str) -> float:
    """Draws the curves of an arm and the gap between them; returns the last gap, NaN if the arm diverged."""
    means = {}
    for split in ("train", "validation"):
        style = curve_style(split, color)
        mean, low, high = (row.scale * numbers(curves[f"{split}_{row.metric}"][key]) for key in ("mean", "low", "high"))
        axis.plot(epochs, mean, marker="o" if len(epochs) == 1 else None, **style)
        axis.fill_between(epochs, low, high, color=style["color"], alpha=0.25, linewidth=0)
        means[split] = mean
    gap = row.gap_sign * (means["validation"] - means["train"])
    for where, style in ((gap >= 0, GAP_FILL), (gap <= 0, NEGATIVE_GAP_FILL)):
        axis.fill_between(epochs, means["train"], means["validation"], where=where, interpolate=True, zorder=0, **style)
    return float(gap[-1])
