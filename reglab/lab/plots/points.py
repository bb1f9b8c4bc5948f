"""Draws the panels that the pictures of sweeps and paths have in common: points along a penalty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from reglab.core import penalties
from reglab.lab.plots.style import BEST, BLUE, ONE_SE, curve_style, numbers, places

Point = Mapping[str, Any]
MARKS: Final = ("best", "strongest within one standard error")
_WIDE_RANGE: Final = 4


def strength_label(name: str) -> str:
    """Returns the label of an axis with the strengths of a penalty."""
    penalty = penalties.get(name)
    return f"{penalty.title} strength (nats per {penalty.symbol})"


def mean(point: Point | None, *names: str) -> float:
    """Returns the mean of an evaluated value, or NaN if it is not finite or there is no such point."""
    entry: Any = point
    for name in names:
        entry = entry and entry[name]
    return float("nan") if entry is None or entry["mean"] is None else float(entry["mean"])


def draw_points(panels: Sequence[Any], strengths: Sequence[float], points: Sequence[Point], along: str,
                color: str = BLUE) -> np.ndarray:
    """Draws accuracy, data loss and nonzero entries on three panels, with standard errors; returns the x of the points.

    Args:
      strengths: the strengths of the points, ascending.
      along: the name of the penalty.
    """
    x, ticks, labels = places(strengths)
    for axis, metric, scale in ((panels[0], "accuracy", 100.0), (panels[1], "data_loss", 1.0)):
        for split in ("train", "validation"):
            error = scale * numbers([point[split][metric]["se"] for point in points])
            axis.errorbar(x, [scale * mean(point, split, metric) for point in points], np.nan_to_num(error), capsize=3,
                          marker="o" if split == "train" else "s", markersize=5, **curve_style(split, color))
    spread_losses(panels[1], [mean(point, split, "data_loss")
                               for point in points for split in ("train", "validation")])
    panels[2].plot(x, [mean(point, "nonzero") for point in points], marker="o", color="0.2")
    panels[2].yaxis.set_major_formatter("{x:,.0f}")
    panels[-1].set_xticks(ticks, labels, rotation=45)
    panels[-1].set_xlabel(strength_label(along))
    return x


def mark_chosen(panels: Sequence[Any], x: np.ndarray, shown: Sequence[Point], best: Point | None, chosen: Point | None
                ) -> None:
    """Marks the best and the one-standard-error point on the panels of `draw_points`, if they are among those shown.

    Args:
      x: the places of the points.
    """
    for point, style, label in ((best, BEST, MARKS[0]), (chosen, ONE_SE, MARKS[1])):
        if any(point is one for one in shown):
            _mark(panels, x[[point is one for one in shown].index(True)], point, style, label)


def _mark(panels: Sequence[Any], place: float, point: Point | None, style: Mapping[str, Any], label: str) -> None:
    values = (100 * mean(point, "validation", "accuracy"), mean(point, "validation", "data_loss"),
              mean(point, "nonzero"))
    is_best = label == MARKS[0]
    for axis, value in zip(panels, values, strict=True):
        axis.margins(y=0.12)  # Room for the whole star.
        axis.axvline(place, color="0.6", linewidth=1, zorder=0)
        # If both are the same point, the diamond, which is smaller, lies on the star.
        axis.plot(place, value, linestyle="none", zorder=5 if is_best else 6, label=label, **style)


def spread_losses(axis: Any, losses: Sequence[float]) -> None:
    """Makes the axis logarithmic if strong penalties would press the losses worth comparing into one line."""
    from matplotlib.ticker import LogLocator, NullFormatter

    known = [loss for loss in losses if np.isfinite(loss)]
    if known and min(known) > 0 and max(known) > _WIDE_RANGE * min(known):
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())


def label_rows(axes: Any, result: Mapping[str, Any]) -> None:
    """Labels the y axes of the panels that `draw_points` draws, given the contents of `sweep.json` or `path.json`."""
    counted = "w ≠ 0" if "zeros" in result["points"][0] else f"|w| > {result['sparsity_threshold']:g}"
    for axis, label in zip(axes[:, 0], ("accuracy (%)", "data loss (nats)",
                                        f"nonzero kernel entries\n({counted})"), strict=False):
        axis.set_ylabel(label)
    axes[2, 0].set_ylim(bottom=0)


def add_legend(drawing: Any, axes: Any, last: Sequence[str] = ()) -> None:
    """Adds one legend for all axes below them, with the labels in `last` at its end."""
    drawing.align_ylabels()
    handles = {label: handle for axis in axes.flat for handle, label in
               zip(*axis.get_legend_handles_labels(), strict=True)}
    ordered = sorted(handles, key=lambda label: label in last)
    drawing.legend([handles[label] for label in ordered], ordered, loc="outside lower center", ncols=2)
