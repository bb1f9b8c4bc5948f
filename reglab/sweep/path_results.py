"""Makes `path.json`, the table and the other files from the evaluations of a path's warm and cold starts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reglab.lab import plots
from reglab.lab.lane_summaries import write_overview
from reglab.lab.lanes import LaneCurves
from reglab.sweep.files import SweepFolder
from reglab.sweep.outputs import csv_text, table, write_point_runs
from reglab.sweep.path_findings import warm_findings
from reglab.sweep.plan import Plan
from reglab.sweep.results import join_chunks, last_evaluation, mean_and_error, sweep_dict
from reglab.sweep.settling import RULE, has_settled

_OF_WARM_STARTS = ("warm_steps", "total_steps", "settled", "warm_diverged")


def path_dict(plan: Plan, cold_plan: Plan, warm: Sequence[Mapping[str, Any]], cold: Sequence[Mapping[str, Any]],
              steps_per_epoch: int) -> dict[str, Any]:
    """Returns the contents of `path.json`: those of `sweep.json` for the cold starts, and in addition for each point

    - "warm_steps", taken at that strength, "total_steps", from the initial weights on, and how many of the seeds have
      "settled" (or "warm_diverged") there;
    - "warm" and "cold": the values of a point of `sweep.json` and "objective", both after "total_steps" steps;
    - "same_total": the steps that "warm" and "cold" starts need to the same objective, "target".

    Every value is {"mean", "se"} over the seeds for which both lanes stayed finite.

    Args:
      plan: the plan of the warm starts; its epochs are the maximum at a strength.
      cold_plan: the plan of the cold starts; its epochs are those of the whole path.
      warm: the evaluations of each point, one per epoch.
      cold: the chunks of `cold_plan`, also evaluated each epoch.
    """
    swept, of_cold = sweep_dict(cold_plan, cold), join_chunks(cold)
    entries, totals, saved, epochs = [], [], [], 0
    for at, (point, evaluations) in enumerate(zip(swept["points"], warm, strict=True)):
        walked = join_chunks([evaluations])
        epochs += len(walked.epochs)
        control = _beginning(of_cold, epochs, plan.places[at])
        of_point = _PointOfPath(walked, control, evaluations["kernel_entries"], steps_per_epoch)
        entries.append({**point, "total_steps": steps_per_epoch * epochs, **of_point.described()})
        totals.append(of_point.totals)
        saved.append(of_point.saved)
    config = {**plan.described()["config"], "learning_rate": plan.shared.learning_rate,
              "penalize": plan.shared.penalize}
    result = {**swept, "config": config, "points": entries, "steps_per_epoch": steps_per_epoch, "settled_rule": RULE,
              "along": next(name for name, values in plan.grid.strengths.items() if len(values) > 1),
              "epochs": {"most": plan.shared.epochs, "total": epochs}}
    last = {which: np.array([total[which][-1] for total in totals]) for which in ("warm", "cold")}
    found = warm_findings(result, last["warm"], last["cold"], np.sum(saved[1:], axis=0))
    return {**result, "findings": {**swept["findings"], "warm_starts": found}}


class _PointOfPath:
    """The warm and cold starts of a point, [epochs, seeds] each, up to the same total number of steps."""

    def __init__(self, warm: LaneCurves, cold: LaneCurves, kernel_entries: int, steps_per_epoch: int) -> None:
        self._curves, self._kernel_entries = {"warm": warm, "cold": cold}, kernel_entries
        self._steps_per_epoch = steps_per_epoch
        self.totals = {which: totals_of(curves) for which, curves in self._curves.items()}
        self._alive = np.isfinite(self.totals["warm"][-1] + self.totals["cold"][-1])
        epochs, self._target = epochs_needed(self.totals["cold"], self.totals["warm"])
        self._needed = {which: steps_per_epoch * epochs[which] for which in ("warm", "cold")}

    @property
    def saved(self) -> np.ndarray:
        """[seeds] how many fewer steps the warm start needed; NaN if one of the two diverged."""
        return np.where(self._alive, self._needed["cold"] - self._needed["warm"], np.nan)

    def described(self) -> dict[str, Any]:
        """Returns what `path.json` has for the point, as JSON values."""
        warm = self.totals["warm"]
        return {"warm_steps": self._steps_per_epoch * len(warm), "settled": int(has_settled(warm).sum()),
                "warm_diverged": int((~np.isfinite(warm[-1])).sum()),
                **{which: {"objective": self._summary(self.totals[which][-1]), **self._evaluation(which)}
                   for which in ("warm", "cold")},
                "same_total": {"target": self._summary(self._target),
                               **{which: self._summary(steps) for which, steps in self._needed.items()}}}

    def _evaluation(self, which: str) -> dict[str, Any]:
        evaluated = last_evaluation(self._curves[which], self._kernel_entries)
        return {name: {key: self._summary(array) for key, array in values.items()} if isinstance(values, dict)
                else self._summary(values) for name, values in evaluated.items()}

    def _summary(self, values: np.ndarray) -> dict[str, float | None]:
        return mean_and_error(values[None], self._alive[None])


def _beginning(curves: LaneCurves, epochs: int, lanes: np.ndarray) -> LaneCurves:
    """Returns the first epochs of some lanes."""
    def part(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: array[:epochs, lanes] for name, array in values.items()}

    return dataclasses.replace(curves, epochs=curves.epochs[:epochs], train=part(curves.train),
                               validation=part(curves.validation), weights=part(curves.weights))


def totals_of(curves: LaneCurves) -> np.ndarray:
    """Returns [evaluations, lanes] the objective over the whole training split."""
    return curves.train["data_loss"] + curves.weights["penalty/total"]


def epochs_needed(cold: np.ndarray, warm: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns [lanes] the epochs until each of two [epochs, lanes] courses is at the lowest total that both reach, and
    that total."""
    with np.errstate(invalid="ignore"):
        target = np.maximum(cold.min(0), warm.min(0))
        return {name: 1 + np.argmax(course <= target, axis=0) for name, course in (("cold", cold), ("warm", warm))
                }, target


def write_path(folder: SweepFolder, cold_plan: Plan, cold: Sequence[Mapping[str, Any]], result: Mapping[str, Any],
               about: Mapping[str, str]) -> None:
    """Writes `path.csv`, the picture, the TensorBoard runs of the cold starts, and `path.json` last.

    Args:
      about: what was done, for people; maps labels to texts.
    """
    folder.write_text("path.csv", csv_text(result, _OF_WARM_STARTS))
    plots.path_picture(result, folder.path)
    write_point_runs(folder, cold_plan, cold, result, result["steps_per_epoch"])
    write_overview(folder.path / "tensorboard", cold_plan.shared, about, path_sentences(result), path_table(result),
                   {"path": folder.path / "path.png"})
    folder.write_result("path.json", result)


def path_sentences(result: Mapping[str, Any]) -> list[str]:
    """Returns the findings, for people."""
    findings = result["findings"]
    return [*findings["sentences"], *findings["warm_starts"]["sentences"], findings["standard_error"]]


def path_table(result: Mapping[str, Any]) -> str:
    """Returns the table of the cold starts as for a sweep, then warm and cold starts after the same number of steps."""
    along = result["along"]
    lines = [f"{'':>10}  {'steps':>8}  {'steps in':>9}  {'':>7}  {'objective':>19}  {'val. data loss':>19}  "
             f"{'nonzero':>15}",
             f"{along:>10}  {'here':>8}  {'all':>9}  {'settled':>7}  {'warm':>9} {'cold':>9}  {'warm':>9} {'cold':>9}  "
             f"{'warm':>7} {'cold':>7}"]
    for point in result["points"]:
        cells = [_cell(point[which][name], text) if name != "validation" else
                 _cell(point[which][name]["data_loss"], text)
                 for name, text in (("objective", "{:.5g}"), ("validation", "{:.4g}"), ("nonzero", "{:.0f}"))
                 for which in ("warm", "cold")]
        settled = f"{point['settled']}/{result['seeds']}"
        lines.append(f"{point[along]:>10.4g}  {point['warm_steps']:>8,}  {point['total_steps']:>9,}  {settled:>7}  "
                     f"{cells[0]:>9} {cells[1]:>9}  {cells[2]:>9} {cells[3]:>9}  {cells[4]:>7} {cells[5]:>7}")
    return "\n".join([table(result), "", "Warm starts, and cold starts after the same number of steps:", *lines])


def _cell(summary: Mapping[str, float | None], text: str) -> str:
    return "-" if summary["mean"] is None else text.format(summary["mean"])
