"""Writes the files of a finished sweep, for programs, spreadsheets and people."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reglab.config.strengths import in_names
from reglab.console.format import number, percent
from reglab.core import penalties
from reglab.lab.lane_blowups import describe
from reglab.lab.lane_summaries import write_lane_runs, write_overview
from reglab.lab.plots import sweep_pictures
from reglab.lab.seeds import over
from reglab.sweep.files import SweepFolder
from reglab.sweep.plan import Plan
from reglab.sweep.results import join_chunks


def write_outputs(folder: SweepFolder, plan: Plan, chunks: Sequence[Mapping[str, Any]], result: Mapping[str, Any],
                  steps_per_epoch: int, about: Mapping[str, str]) -> None:
    """Writes the result files listed in `files`, `sweep.json` last: if that is there, so are the others.

    Args:
      about: what was swept, for people; maps labels to texts.
    """
    folder.write_text("sweep.csv", csv_text(result))
    sweep_pictures(result, folder.path)
    write_point_runs(folder, plan, chunks, result, steps_per_epoch)
    findings = result["findings"]
    write_overview(folder.path / "tensorboard", plan.shared, about,
                   [*findings["sentences"], findings["standard_error"]], table(result),
                   {name: folder.path / f"{name}.png" for name in ("heatmap", "path")})
    folder.write_result("sweep.json", result)


def write_point_runs(folder: SweepFolder, plan: Plan, chunks: Sequence[Mapping[str, Any]], result: Mapping[str, Any],
                     steps_per_epoch: int) -> None:
    """Writes a TensorBoard run for each point."""
    folds, lanes = len(plan.fold_numbers), plan.lanes
    places = {point_name(at, point, result["grid"]): [fold * len(lanes) + place for fold in range(folds)
                                                      for place in plan.places[at].tolist()]
              for at, point in enumerate(result["points"])}
    write_lane_runs(folder.path / "tensorboard", places, lanes * folds, join_chunks(chunks), plan.shared,
                    steps_per_epoch, {name: marks for at, name in enumerate(places) if (marks := _marks(at, result))})


def _marks(at: int, result: Mapping[str, Any]) -> str:
    """Returns how a point was chosen, in words: as the best, the one-standard-error point, both, or not at all."""
    return ", ".join(text for key, text in (("best", "best"), ("one_standard_error", "1-SE")) if at == result[key])


def csv_text(result: Mapping[str, Any], counts: Sequence[str] = ()) -> str:
    """Returns CSV with a line per point: its place in the grid, then mean and standard error of each evaluated value.

    Args:
      counts: the names of further numbers of each point.
    """
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    of_point = [*result["grid"], "lanes", "diverged", *counts]
    for at, point in enumerate(result["points"]):
        cells = dict(_summaries(point))
        if at == 0:
            lines.writerow([*of_point, *cells, "best", "one_standard_error"])
        lines.writerow([*(point[name] for name in of_point), *cells.values(), int(at == result["best"]),
                        int(at == result["one_standard_error"])])
    return out.getvalue()


def _summaries(point: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in point.items():
        if isinstance(value, Mapping):
            yield from _summaries(value, f"{prefix}{name}_")
        elif name in ("mean", "se"):
            yield f"{prefix}{name}", value


def point_name(at: int, point: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> str:
    """Returns a descriptive folder name that sorts: `003_l1=0.001_l2=0`, with learning rate and layers if they vary."""
    name = f"{at:03}" + "".join(f"_{name}={in_names(point[name], '.3g')}" for name in grid if name in penalties.names())
    if len(grid["learning_rate"]) > 1:
        name += f"_lr={point['learning_rate']:.3g}"
    return name if len(grid["penalize"]) == 1 else f"{name}_{re.sub(r'[^A-Za-z0-9]+', '-', point['penalize'])}"


def table(result: Mapping[str, Any]) -> str:
    """Returns a table of the points for people: values as mean +- standard error, best and 1-SE marked."""
    points = result["points"]
    varying = [name for name, values in result["grid"].items() if name in penalties.names() or len(values) > 1]
    rows = [[*varying, "val. data loss", "val. accuracy", "train accuracy", "gap", "nonzero", "diverged", ""]]
    for at, point in enumerate(points):
        marks = _marks(at, result)
        rows.append([*(point[name] if isinstance(point[name], str) else f"{point[name]:.4g}" for name in varying),
                     _shown(point["validation"]["data_loss"], number), _shown(point["validation"]["accuracy"], percent),
                     _shown(point["train"]["accuracy"], percent), _shown(point["gap"]["data_loss"], number),
                     "-" if point["nonzero"]["mean"] is None else f"{point['nonzero']['mean']:.0f}",
                     f"{point['diverged']} of {point['lanes']}" if point["diverged"] else "-",
                     f"<- {marks}" if marks else ""])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:>{width}}" if column < len(widths) - 1 else cell
                       for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]
    has_errors = any(point["validation"]["data_loss"]["se"] is not None for point in points)
    meaning = [f"+- is one standard error over {over(result['vary'], result['seeds'], result['folds'])}"]
    return "\n".join(lines + meaning * has_errors
                     + describe(result["nonfinite"], sum(point["lanes"] for point in points)))


def _shown(summary: Mapping[str, float | None], form: Any) -> str:
    mean, error = summary["mean"], summary["se"]
    if mean is None:
        return "-"
    if error is None:
        return form(mean)
    return f"{form(mean)} +- " + (f"{error:.2g}" if form is number else form(error))
