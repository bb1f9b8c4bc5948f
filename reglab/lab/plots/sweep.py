"""Draws a sweep: a map of the validation data loss over two penalties, and the path along one of them.

If a sweep also varies learning rates, penalized layers or a third penalty, these are fixed at the values of its best
point. The path runs along the penalty with the most values; the others are fixed at the values of the best point
and, in panels beside it, of the one-standard-error point.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reglab.core import penalties
from reglab.lab.plots.points import MARKS, Point, add_legend, draw_points, label_rows, mark_chosen, mean, strength_label
from reglab.lab.plots.style import BEST, ONE_SE, figure, finding, strength


def sweep_pictures(sweep: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    """Draws `heatmap` and `path`, each as .png and .svg.

    Args:
      sweep: the contents of `sweep.json`. Nothing is drawn if it has no best point because lanes of all diverged.
    """
    if sweep["best"] is None:
        return
    best = sweep["points"][sweep["best"]]
    chosen = None if sweep["one_standard_error"] is None else sweep["points"][sweep["one_standard_error"]]
    points = [point for point in sweep["points"]
              if all(point[name] == best[name] for name in ("learning_rate", "penalize"))]
    where = f"learning rate {best['learning_rate']:g}, penalized: {best['penalize']}"
    names = [name for name in penalties.names() if name in best]
    counts = {name: len({point[name] for point in points}) for name in names}
    # Python's sort is stable.
    ranked = sorted(names, key=lambda name: -counts[name])
    mapped = [name for name in names if name in ranked[:2]]
    shown = [point for point in points if all(point[name] == best[name] for name in ranked[2:])]
    _draw_map(shown, mapped, best, chosen, where, sweep, directory)
    _draw_path(points, ranked[0], best, chosen, where, sweep, directory)


def _draw_map(points: Sequence[Point], names: Sequence[str], best: Point, chosen: Point | None, where: str,
              sweep: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    along, upward = names[0], names[-1]
    columns, rows = (sorted({point[name] for point in points}) for name in (along, upward))
    at = {(point[along], point[upward]): point for point in points}
    losses = np.array([[mean(at.get((x, y)), "validation", "data_loss") for x in columns] for y in rows])
    least = np.nanmin(losses)
    resolution = _resolution(best, losses - least)
    size = (max(0.95 * len(columns) + 2.6, 5.8), max(0.75 * len(rows) + 2.2, 3.6))
    with figure(directory, "heatmap", figsize=size) as (drawing, axes):
        axis = axes[0, 0]
        image = axis.imshow(losses - least, cmap="cividis_r", origin="lower", aspect="auto",
                            norm=_norm(resolution, losses - least))
        for row, column in np.ndindex(losses.shape):
            text = _cell_text(at.get((columns[column], rows[row])), losses[row, column], resolution)
            axis.text(column, row - 0.18, text, fontsize=9, ha="center", va="center",
                      color=_readable_on(image, losses[row, column] - least))
        for point, style, label in ((best, BEST, MARKS[0]), (chosen, ONE_SE, MARKS[1])):
            if point is not None and any(point is one for one in points):
                # Side by side if both are the same point.
                shift = (-0.22 if label == MARKS[0] else 0.22) if best is chosen else 0
                axis.plot(columns.index(point[along]) + shift, rows.index(point[upward]) + 0.24, linestyle="none",
                          label=label, **style)
        axis.set_xticks(range(len(columns)), [strength(value) for value in columns])
        axis.set_yticks(range(len(rows)), [strength(value) for value in rows])
        axis.set_xlabel(strength_label(along))
        axis.set_ylabel(strength_label(upward))
        axis.grid(False)
        axis.set_title(f"{finding(sweep, size[0])}\nvalidation data loss{_meaning(best, sweep, ', mean')}\n{where}")
        ticks = _ticks(resolution, np.nanmax(losses) - least)
        bar = drawing.colorbar(image, ax=axis, label="above the lowest data loss (nats)", ticks=ticks)
        bar.ax.set_yticks(ticks, [strength(tick) for tick in ticks])
        bar.ax.minorticks_off()
        drawing.legend(loc="outside lower center", ncols=2)


def _draw_path(points: Sequence[Point], along: str, best: Point, chosen: Point | None, where: str,
               sweep: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    selection = sweep["selection"]
    others = [name for name in penalties.names() if name in best and name != along]
    slices = sorted({tuple(point[other] for other in others) for point in (best, chosen) if point is not None})
    with figure(directory, "path", figsize=(max(7.4, 4.6 * len(slices)), 9), nrows=3, ncols=len(slices), sharex=True,
                sharey="row") as (drawing, axes):
        for column, values in enumerate(slices):
            panels = axes[:, column]
            shown = sorted((point for point in points if tuple(point[other] for other in others) == values),
                           key=lambda point: point[along])
            x = draw_points(panels, [point[along] for point in shown], shown, along)
            _draw_threshold(panels[0 if selection == "accuracy" else 1], best, selection)
            mark_chosen(panels, x, shown, best, chosen)
            panels[0].set_title(", ".join(f"{other} = {strength(value)}" for other, value in zip(others, values,
                                                                                                strict=True)))
        label_rows(axes, sweep)
        bars = _meaning(best, sweep, "bars are")
        drawing.suptitle("\n".join(filter(None, (finding(sweep, drawing.get_figwidth()), bars, where))), fontsize=11)
        add_legend(drawing, axes, MARKS)


def _draw_threshold(axis: Any, best: Point, selection: str) -> None:
    """Draws a line one standard error from the best: points within it count as no worse."""
    error = best["validation"][selection]["se"]
    if error is not None:
        scale, sign = (100, -1) if selection == "accuracy" else (1, 1)
        axis.axhline(scale * (best["validation"][selection]["mean"] + sign * error), color="0.3", linestyle=":",
                     linewidth=1.2, label="one standard error from the best")


def _meaning(best: Point, sweep: Mapping[str, Any], before: str) -> str:
    """Returns what ± means, or an empty text if there is no standard error."""
    if best["validation"]["data_loss"]["se"] is None:
        return ""
    return f"{before} ± one standard error over {sweep['findings']['over']}"


def _resolution(best: Point, above: np.ndarray) -> float:
    """Returns the smallest difference that matters near the lowest loss: the standard error there, else the least one.

    Args:
      above: losses above the lowest.
    """
    error = best["validation"]["data_loss"]["se"]
    positive = above[above > 0]  # NaN is not.
    return float(error or (positive.min() if positive.size else 1.0))


def _norm(resolution: float, above: np.ndarray) -> Any:
    """Returns a color scale that resolves losses near the lowest: linear up to `resolution`, logarithmic beyond."""
    from matplotlib.colors import AsinhNorm

    return AsinhNorm(linear_width=resolution, vmin=0.0, vmax=max(float(np.nanmax(above)), resolution))


def _ticks(resolution: float, most: float) -> list[float]:
    """Returns 0 and round numbers up to `most`, at most seven in all."""
    powers = range(int(np.floor(np.log10(resolution))), int(np.ceil(np.log10(max(most, resolution)))) + 1)
    steps = [digit * 10.0**power for power in powers for digit in (1, 3) if resolution <= digit * 10.0**power <= most]
    return [0.0, *steps[::-(-len(steps) // 6) or 1]]


def _cell_text(point: Point | None, loss: float, resolution: float) -> str:
    if point is None:
        return ""
    if np.isnan(loss):
        return "diverged"
    decimals = min(max(1 - int(np.floor(np.log10(resolution))), 3), 5)
    error = point["validation"]["data_loss"]["se"]
    return f"{loss:.{decimals}f}" + ("" if error is None else f"\n±{error:.{decimals}f}")


def _readable_on(image: Any, value: float) -> str:
    if np.isnan(value):
        return "black"
    red, green, blue, _ = image.cmap(image.norm(value))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
