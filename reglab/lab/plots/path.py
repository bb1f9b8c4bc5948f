"""The picture of a warm-started path: what the penalty does along it, and what warm starts save."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from reglab.lab.plots.points import add_legend, draw_points, label_rows, mean
from reglab.lab.plots.style import GREEN, PURPLE, figure, finding


def path_picture(path: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    """Draws `path.png` and `path.svg`.

    Args:
      path: the contents of `path.json`.
    """
    along, points = path["along"], path["points"]
    config = path["config"]
    with figure(directory, "path", figsize=(6.4, 11.5), nrows=4, ncols=1, sharex=True) as (drawing, axes):
        x = draw_points(axes[:, 0], [point[along] for point in points], [point["warm"] for point in points], along,
                        GREEN)
        label_rows(axes, path["sparsity_threshold"])
        axis = axes[3, 0]
        for which, color, line, marker in (("cold", PURPLE, "--", "s"), ("warm", GREEN, "-", "o")):
            axis.plot(x, [mean(point, "steps", which) for point in points], linestyle=line, marker=marker, color=color,
                      label=f"{which} start")
        axis.set_ylabel("steps to the same\ntotal loss")
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.set_ylim(bottom=0)
        for row, (metric, scale) in enumerate((("accuracy", 100.0), ("data_loss", 1.0))):
            axes[row, 0].plot(x, [scale * mean(point, "cold", "validation", metric) for point in points], linestyle=":",
                              marker="s", markersize=4, color=PURPLE, label="validation, cold start")
        over = (f"mean over {path['seeds']} seeds, bars are ± one standard error" if path["seeds"] > 1 else "one seed")
        drawing.suptitle(f"{finding(path, 6.4)}\n(cold starts, purple: all had the same work)\n"
                         f"warm-started path (green), {over}\n"
                         f"learning rate {config['learning_rate']:g}, penalized: {config['penalize']}", fontsize=11)
        add_legend(drawing, axes)
