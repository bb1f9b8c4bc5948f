"""Makes the contents of `sweep.json` from the evaluations of finished chunks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reglab.core.measurement import joined_norms
from reglab.core.penalties.by_name import as_dict
from reglab.core.terms import SPARSITY_THRESHOLD
from reglab.lab import intervals
from reglab.lab.lane_blowups import Blowup
from reglab.lab.lanes import LaneCurves
from reglab.lab.savings import savings
from reglab.run.patience import ENDING
from reglab.storage.json_values import for_json
from reglab.sweep.choice import choose
from reglab.sweep.findings import findings_of
from reglab.sweep.plan import Plan


def chunk_dict(curves: LaneCurves, lanes: int) -> dict[str, Any]:
    """Returns what is kept of a chunk: the curves of its first `lanes` lanes, as JSON values. The rest is padding."""
    parts = {"train": curves.train, "validation": curves.validation, "weights": curves.weights}
    evaluations = {part: {name: for_json(values[:, :lanes]) for name, values in curve.items()}
                   for part, curve in parts.items()}
    early = {} if curves.ends is None or curves.trained is None else {
        "ends": curves.ends[:lanes].tolist(), "trained": curves.trained[:lanes].tolist()}
    return {"epochs": curves.epochs.tolist(), **evaluations, **early, "kernel_entries": curves.kernel_entries,
            "blowups": [dataclasses.asdict(blowup) for blowup in curves.blowups if blowup.lane < lanes]}


def join_chunks(chunks: Sequence[Mapping[str, Any]]) -> LaneCurves:
    """Returns the curves of all lanes, fold by fold, without final weights; null becomes NaN.

    With early stopping, a chunk is as long as the longest of its lanes. After that they stay in their final states.
    """
    longest = max((chunk["epochs"] for chunk in chunks), key=len)

    def whole(chunk: Mapping[str, Any], values: Any) -> np.ndarray:
        array = np.array(values, np.float64)
        missing = len(longest) - len(array)
        if not missing:
            return array
        return np.concatenate([array, np.tile(array[chunk["ends"], np.arange(array.shape[1])], (missing, 1))])

    def joined(part: str) -> dict[str, np.ndarray]:
        return {name: np.concatenate([whole(chunk, chunk[part][name]) for chunk in chunks], axis=1)
                for name in chunks[0][part]}

    def of_lanes(name: str) -> np.ndarray | None:
        return np.concatenate([chunk[name] for chunk in chunks]) if name in chunks[0] else None

    counts = [len(chunk["train"]["data_loss"][-1]) for chunk in chunks]
    blowups = [Blowup(before + blowup["lane"], blowup["step"], blowup["left_out"])
               for chunk, before in zip(chunks, np.cumsum([0, *counts[:-1]]).tolist(), strict=True)
               for blowup in chunk.get("blowups", [])]
    return LaneCurves(np.array(longest), joined("train"), joined("validation"), joined("weights"), {}, tuple(blowups),
                      ends=of_lanes("ends"), trained=of_lanes("trained"))


def sweep_dict(plan: Plan, chunks: Sequence[Mapping[str, Any]], fold_sizes: Sequence[int] | None = None,
               steps_per_epoch: int = 1) -> dict[str, Any]:
    """Returns the contents of `sweep.json`, which depend on the evaluations alone, not on times or folders.

    Every value of a point is {"mean", "se"} over its folds (each the mean over the seeds), weighted by their size, or
    over its seeds if there are no folds; se is the standard error, or null if there is only one value. Lanes that
    diverged are left out of the means, and counted.

    Args:
      fold_sizes: how many examples each fold holds out; without them all folds count alike.
      steps_per_epoch: the number of updates in an epoch, to tell what early stopping saved.
    """
    curves = join_chunks(chunks)
    evaluated = last_evaluation(curves, chunks[0]["kernel_entries"])
    weights = None if fold_sizes is None else np.array(fold_sizes)

    def by_point(values: np.ndarray) -> np.ndarray:
        """Returns the values as [folds, points, seeds]."""
        return values.reshape(len(plan.fold_numbers), -1)[:, plan.places]

    alive = np.isfinite(by_point(evaluated["train"]["data_loss"] + evaluated["validation"]["data_loss"]))
    points = []
    for at, point in enumerate(plan.grid.points):
        def summary(values: np.ndarray, at: int = at) -> dict[str, float | None]:
            return mean_and_error(by_point(values)[:, at], alive[:, at], weights)

        summaries = {name: {key: summary(array) for key, array in values.items()} if isinstance(values, dict)
                   else summary(values) for name, values in evaluated.items()}
        points.append({**plan.grid.described(point), "lanes": int(alive[:, at].size),
                       "diverged": int((~alive[:, at]).sum()), **summaries})
    best, one_standard_error = choose(points, plan.selection)
    result = {**plan.described(), "vary": plan.vary, "sparsity_threshold": SPARSITY_THRESHOLD, "points": points,
              "best": best, "one_standard_error": one_standard_error,
              "nonfinite": list_blowups(curves.blowups, plan),
              **({} if curves.trained is None else {ENDING: savings(plan.shared, curves.trained, steps_per_epoch)})}
    of_validation = {name: by_point(evaluated["validation"][name]) for name in ("data_loss", "accuracy")}
    return {**result, "findings": findings_of(result, of_validation, weights)}


def list_blowups(blowups: Sequence[Blowup], plan: Plan) -> list[dict[str, Any]]:
    """Returns the lanes with steps that are not finite: settings and first such step of each, as JSON values."""
    lanes = plan.lanes
    return [{**as_dict(lanes[blowup.lane % len(lanes)]),
             "fold": plan.fold_numbers[blowup.lane // len(lanes)], "step": blowup.step, "left_out": blowup.left_out}
            for blowup in blowups]


def last_evaluation(curves: LaneCurves, kernel_entries: int) -> dict[str, Any]:
    """Returns the last evaluation of every lane: [lanes] arrays, by split and name. Losses in nats, without penalty.

    With proximal operators, "nonzero" counts the entries that are not exactly 0, else those that are not small.
    """
    last = [{name: curves.final(values) for name, values in part.items()}
            for part in (curves.train, curves.validation, curves.weights)]
    train, validation, weights = last
    sparsity, zeros = weights["sparsity/total"], weights.get("zeros/total")
    return {"validation": validation, "train": train,
            "gap": {"data_loss": validation["data_loss"] - train["data_loss"],
                    "accuracy": train["accuracy"] - validation["accuracy"]},
            "sparsity": sparsity, **({} if zeros is None else {"zeros": zeros}),
            "nonzero": np.round(kernel_entries * (1 - (sparsity if zeros is None else zeros))),
            **joined_norms(weights),
            **({} if curves.trained is None else {"trained_epochs": curves.trained.astype(np.float64)})}


def mean_and_error(values: np.ndarray, alive: np.ndarray, weights: np.ndarray | None = None
                   ) -> dict[str, float | None]:
    """Computes mean and standard error of the alive [folds, seeds] values: over folds, or the seeds of a single one.

    Args:
      weights: [folds] the weights of the folds; a fold of which nothing is alive is left out.
    """
    there = alive.any(1)
    if not there.any():
        return {"mean": None, "se": None}
    if len(values) > 1:
        replicates = np.array([row[ok].mean() for row, ok in zip(values[there], alive[there], strict=True)])
        mean, error = intervals.mean_and_error(replicates, None if weights is None else weights[there])
    else:
        mean, error = intervals.mean_and_error(values[alive])
    summary: dict[str, float | None] = for_json({"mean": mean, "se": error})
    return summary
