"""Draws a path: the effect of the penalty along it, from warm and from cold starts, and the steps that each took."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reglab.lab.plots.points import MARKS, Point, add_legend, draw_points, label_rows, mark_chosen, mean, spread_losses
from reglab.lab.plots.style import GREEN, PURPLE, figure, finding, numbers

_WIDTH = 7.4


def path_picture(path: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    """Draws `path.png` and `path.svg`.

    Args:
      path: the contents of `path.json`.
    """
    points, config, along = path["points"], path["config"], path["along"]
    with figure(directory, "path", figsize=(_WIDTH, 14), nrows=5, ncols=1, sharex=True) as (drawing, axes):
        panels = axes[:, 0]
        x = draw_points([*panels[:3], panels[4]], [point[along] for point in points],
                        [point["warm"] for point in points], along, GREEN)
        panels[2].lines[0].set(color=GREEN, label="warm start")
        _draw_cold(panels, x, points)
        mark_chosen(panels[:3], x, points, *(None if path[key] is None else points[path[key]]
                                             for key in ("best", "one_standard_error")))
        _draw_objective(panels[3], x, points)
        _draw_steps(panels[4], x, points, path["seeds"])
        label_rows(axes, path)
        over = f"bars are ± one standard error over {path['findings']['over']}" if path["seeds"] > 1 else "one seed"
        drawing.suptitle(f"{finding(path, _WIDTH)}\n(cold starts, purple: all of {points[-1]['total_steps']:,} steps; "
                         "the choice is from these)\n"
                         f"warm starts, green: the steps at bottom, after those at all weaker strengths\n{over}\n"
                         f"learning rate {config['learning_rate']:g}, penalized: {config['penalize']}", fontsize=11)
        add_legend(drawing, axes, MARKS)


def _draw_cold(panels: Sequence[Any], x: np.ndarray, points: Sequence[Point]) -> None:
    style: dict[str, Any] = {"linestyle": ":", "marker": "D", "markersize": 4, "color": PURPLE}
    for axis, metric, scale in ((panels[0], "accuracy", 100.0), (panels[1], "data_loss", 1.0)):
        error = np.nan_to_num(scale * numbers([point["validation"][metric]["se"] for point in points]))
        axis.errorbar(x, [scale * mean(point, "validation", metric) for point in points], error, capsize=3,
                      label="validation, cold start", **style)
    panels[2].plot(x, [mean(point, "nonzero") for point in points], label="cold start", **style)


def _draw_objective(axis: Any, x: np.ndarray, points: Sequence[Point]) -> None:
    """Draws the objective of both after the same number of steps."""
    for which, color, line, marker in (("cold", PURPLE, "--", "s"), ("warm", GREEN, "-", "o")):
        error = np.nan_to_num(numbers([point[which]["objective"]["se"] for point in points]))
        axis.errorbar(x, [mean(point, which, "objective") for point in points], error, capsize=3, linestyle=line,
                      marker=marker, markersize=5, color=color, label=f"{which} start, after the same steps")
    axis.set_ylabel("objective on training\ndata (nats)")
    spread_losses(axis, [mean(point, which, "objective") for point in points for which in ("cold", "warm")])


def _draw_steps(axis: Any, x: np.ndarray, points: Sequence[Point], seeds: int) -> None:
    steps = np.array([point["warm_steps"] for point in points])
    settled = np.array([point["settled"] + point["warm_diverged"] >= seeds for point in points])
    axis.plot(x, steps, color=GREEN)
    for where, fill, label in ((settled, GREEN, "settled"), (~settled, "white", "had not settled")):
        if where.any():
            axis.plot(x[where], steps[where], linestyle="none", marker="o", markersize=7, markerfacecolor=fill,
                      markeredgecolor=GREEN, label=label)
    axis.set_ylabel("steps of the warm\nstart at this strength")
    axis.yaxis.set_major_formatter("{x:,.0f}")
    axis.set_ylim(bottom=0)
