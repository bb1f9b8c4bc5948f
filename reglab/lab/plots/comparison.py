"""Draws a comparison: each arm's curves on both splits in its own hue, with the gap between them shaded.

The gap is positive where the network does worse on validation data. With noisy training labels it may be negative, as
the true labels disagree with them; a negative gap is shaded differently.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from reglab.core import penalties
from reglab.lab.plots.style import GAP_FILL, HUES, NEGATIVE_GAP_FILL, curve_style, figure, finding, numbers, strength


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
                _draw_arm(axes[at, column], np.array(result["epochs"]), arm["curves"], row, HUES[column % len(HUES)])
                axes[at, 0].set_ylabel(row.label)
            axes[1, column].set_xlabel("epoch")
        axes[1, 0].set_ylim(bottom=0)
        drawing.align_ylabels()
        drawing.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        drawing.suptitle(f"{finding(result, width)}\n{_circumstances(result)}", fontsize=11)


def _circumstances(result: Mapping[str, Any]) -> str:
    seeds, noise = len(result["seeds"]), result["config"]["label_noise"]
    data = result["dataset"] + (f", {100 * noise:.0f} % of the training labels changed" if noise else "")
    return data + "\n" + (f"mean over {result['findings']['over']}, bands are {100 * result['confidence']:.0f} % "
                          "intervals" if seeds > 1 else "one seed")


def _draw_arm(axis: Any, epochs: np.ndarray, curves: Mapping[str, Any], row: _Row, color: str) -> None:
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
    end = "diverged" if np.isnan(gap[-1]) else row.gap_text.format(gap[-1])
    axis.set_title("\n".join([axis.get_title(), end]).lstrip())
