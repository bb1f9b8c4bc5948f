"""From the evaluations of a path's points to `path.json`, its table and its files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reglab.core import penalties
from reglab.core.terms import SPARSITY_THRESHOLD
from reglab.lab import plots
from reglab.lab.lanes import LaneCurves
from reglab.sweep.files import SweepFolder
from reglab.sweep.findings import path_findings
from reglab.sweep.plan import Plan
from reglab.sweep.results import join_chunks, last_evaluation, mean_and_error


def path_dict(plan: Plan, points: Sequence[Mapping[str, Any]], steps_per_epoch: int) -> dict[str, Any]:
    """The contents of `path.json`; every value is {"mean", "se"} over the seeds whose two lanes stayed finite.

    A point's "steps" are what "cold" and "warm" starts need to the same total, "target"; "cold" and "warm" themselves
    hold what a point of `sweep.json` holds, where these end. The path's "steps" are sums over all points but the
    first, which has nothing to start from.
    """
    entries, cold, saved = [], [], []
    for point, evaluations in zip(plan.grid.points, points, strict=True):
        curves = {which: join_chunks([evaluations[which]]) for which in ("cold", "warm")}
        totals = {which: totals_of(curve) for which, curve in curves.items()}
        alive = np.isfinite(totals["cold"][-1] + totals["warm"][-1])
        epochs, target = epochs_needed(totals["cold"], totals["warm"])
        cold.append(curves["cold"].validation)
        saved.append(steps_per_epoch * (epochs["cold"] - epochs["warm"]))

        def summary(values: np.ndarray, alive: np.ndarray = alive) -> dict[str, float | None]:
            return mean_and_error(values[None], alive[None])

        entries.append({
            **plan.grid.described(point), "lanes": len(alive), "diverged": int((~alive).sum()),
            "target": summary(target), "steps": {which: summary(steps_per_epoch * needed)
                                                for which, needed in epochs.items()},
            "total": {which: summary(total[-1]) for which, total in totals.items()},
            **{which: _summaries(last_evaluation(curve, evaluations[which]["kernel_entries"]), summary)
               for which, curve in curves.items()}})
    described = plan.to_dict()
    config = {**described["config"], "learning_rate": plan.shared.learning_rate, "penalize": plan.shared.penalize}
    result = {"config": config, "grid": described["grid"], "seeds": plan.seeds,
              "along": next(name for name, values in plan.grid.strengths.items() if len(values) > 1),
              "steps_per_epoch": steps_per_epoch, "sparsity_threshold": SPARSITY_THRESHOLD, "points": entries,
              "steps": {which: _sum(entry["steps"][which]["mean"] for entry in entries[1:])
                        for which in ("cold", "warm")}}
    of_validation = {name: np.array([curve[name][-1] for curve in cold]) for name in ("data_loss", "accuracy")}
    return {**result, "findings": path_findings(result, of_validation, np.sum(saved[1:], axis=0))}


def totals_of(curves: LaneCurves) -> np.ndarray:
    """[evaluations, lanes] the objective over the whole training split."""
    return curves.train["data_loss"] + curves.weights["penalty/total"]


def epochs_needed(cold: np.ndarray, warm: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """[lanes] epochs until each of two [epochs, lanes] courses is at the total that both reach, and that total."""
    with np.errstate(invalid="ignore"):
        target = np.maximum(cold.min(0), warm.min(0))
        return {name: 1 + np.argmax(course <= target, axis=0) for name, course in (("cold", cold), ("warm", warm))
                }, target


def write_path(folder: SweepFolder, result: Mapping[str, Any]) -> None:
    """Writes `path.csv`, the picture, and `path.json` last."""
    folder.write_text("path.csv", path_csv(result))
    plots.path_picture(result, folder.path)
    folder.write_json("path.json", result)


def path_csv(result: Mapping[str, Any]) -> str:
    """One line a point."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    names = [name for name in result["grid"] if name in penalties.names()]
    lines.writerow([*names, "diverged", "target", "cold_steps", "warm_steps", "cold_total", "warm_total",
                    "warm_validation_data_loss", "warm_validation_accuracy", "warm_nonzero"])
    for point in result["points"]:
        warm = point["warm"]
        shown = (point["target"], point["steps"]["cold"], point["steps"]["warm"], point["total"]["cold"],
                   point["total"]["warm"], warm["validation"]["data_loss"], warm["validation"]["accuracy"],
                   warm["nonzero"])
        lines.writerow([*(point[name] for name in names), point["diverged"], *(value["mean"] for value in shown)])
    return out.getvalue()


def path_table(result: Mapping[str, Any]) -> str:
    """The points for people, and what the warm starts saved."""
    along = result["along"]
    lines = [f"{along:>10}  {'same total':>11}  {'steps cold':>11}  {'steps warm':>11}  {'val. accuracy':>13}  "
             f"{'nonzero':>9}"]
    for point in result["points"]:
        warm = point["warm"]
        cells = [point["target"]["mean"], point["steps"]["cold"]["mean"], point["steps"]["warm"]["mean"],
                 warm["validation"]["accuracy"]["mean"], warm["nonzero"]["mean"]]
        target, cold, steps, accuracy, nonzero = (
            "-" if cell is None else text.format(cell)
            for cell, text in zip(cells, ("{:.5g}", "{:.0f}", "{:.0f}", "{:.2%}", "{:.0f}"), strict=True))
        lines.append(f"{point[along]:>10.4g}  {target:>11}  {cold:>11}  {steps:>11}  {accuracy:>13}  {nonzero:>9}")
    cold, warm = (result["steps"][which] for which in ("cold", "warm"))
    if cold and warm is not None:
        lines.append(f"After the first point, warm starts need {warm:.0f} steps where cold starts need {cold:.0f}: "
                     f"{1 - warm / cold:.0%} less.")
    return "\n".join(lines)


def _summaries(evaluated: Mapping[str, Any], summary: Any) -> dict[str, Any]:
    return {name: {key: summary(array) for key, array in values.items()} if isinstance(values, dict)
            else summary(values) for name, values in evaluated.items()}


def _sum(values: Any) -> float | None:
    known = list(values)
    return None if any(value is None for value in known) else float(sum(known))


