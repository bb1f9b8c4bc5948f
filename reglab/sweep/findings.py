"""The findings of a sweep, from the values whose means its points give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reglab.config.strengths import is_zero
from reglab.core import penalties
from reglab.inputs.texts import one_line
from reglab.lab.contest import Option, Replicates
from reglab.lab.findings import find
from reglab.lab.seeds import over

PointDict = Mapping[str, Any]
"""A point of `sweep.json`."""


def findings_of(result: Mapping[str, Any], values: Mapping[str, np.ndarray],
                weights: np.ndarray | None = None) -> dict[str, Any]:
    """Returns what `lab.findings.find` finds about the points, and "standard_error", a sentence on that choice.

    Points are paired by seed or, if there are folds, by fold, with the mean over the seeds of each. A point with a lane
    that diverged is not compared, as it is never chosen.

    Args:
      result: the contents of `sweep.json`.
      values: "data_loss" and "accuracy" of validation, [folds, points, seeds].
      weights: [folds] the sizes of the folds.
    """
    points, folds = result["points"], result["folds"]
    # Without a penalty it makes no difference which layers it would cover.
    whole = [at for at, point in enumerate(points) if not point["diverged"] and not (
        is_none(point) and point["penalize"] != result["grid"]["penalize"][0])]
    replicated = {name: array.mean(2).T if folds else array[0] for name, array in values.items()}
    options = [Option(point_phrase(points[at], result["grid"]), is_none(points[at]), replicated["data_loss"][at],
                      replicated["accuracy"][at]) for at in whole]
    text = over(result["vary"], result["seeds"], folds)
    best = None if result["best"] is None else whole.index(result["best"])
    found = find(options, best, Replicates(text, "fold" if folds else "seed", weights), selection=result["selection"],
                 remarks=list(_remarks(result)))
    return {**found, "standard_error": _standard_error(result, text)}


def in_short(kind: str, result: Mapping[str, Any], folder: object) -> str:
    """Returns a sweep or path in a line: its size, its folder and its first finding."""
    found = one_line(result["findings"]["sentences"][0], 300)
    return f"<{kind} of {len(result['points']):,} points in {folder}. {found}>"


def is_none(point: PointDict) -> bool:
    """Returns whether a point penalizes nothing."""
    return all(is_zero(point[name]) for name in penalties.names() if name in point)


def point_phrase(point: PointDict, grid: Mapping[str, Any]) -> str:
    """Returns what distinguishes a point, as in "l1 = 0.001 at learning rate 0.01"; no penalty is not mentioned."""
    strengths = [] if is_none(point) else [
        f"{name} = {point[name] if isinstance(point[name], str) else format(point[name], '.4g')}" for name in grid
        if name in penalties.names() and len(grid[name]) > 1]
    layers = [f"penalize = {point['penalize']}"] if len(grid["penalize"]) > 1 and not is_none(point) else []
    said = ", ".join(strengths + layers)
    if len(grid["learning_rate"]) > 1:
        rate = f"learning rate {point['learning_rate']:g}"
        return f"{said} at {rate}".strip() if said or is_none(point) else rate
    return said


def _remarks(result: Mapping[str, Any]) -> Iterator[str]:
    """Yields clauses on where the grid ends too soon, what is missing from it, and what is not compared."""
    points, grid = result["points"], result["grid"]
    if result["best"] is not None:
        for name, values in grid.items():
            yield from _edge(name, points[result["best"]][name], values)
        if not any(is_none(point) for point in points):
            yield "no penalty at all was not tested: with 0 among the strengths, it will be"
    diverged = sum(point["diverged"] > 0 for point in points)
    if diverged:
        yield f"{diverged} of {len(points)} points had lanes that diverged and {'are' if diverged > 1 else 'is'} not " \
              "compared"


def _edge(name: str, value: Any, values: list[Any]) -> Iterator[str]:
    if len(values) < 2 or any(isinstance(each, str) for each in values) or value == 0:
        return
    title = name.replace("_", " ")
    if value == max(values):
        yield f"the best {title} is the largest tested, so a larger one may be better"
    elif value == min(values):
        yield f"the best {title} is the smallest tested, so a smaller one may be better"


def _standard_error(result: Mapping[str, Any], text: str) -> str:
    if result["one_standard_error"] is None:
        return "No one-standard-error point: " + ("a lane of every point diverged." if result["best"] is None else
                                                  "a standard error needs --seeds=2 or more, or --folds.")
    point = result["points"][result["one_standard_error"]]
    chosen = "no penalty" if is_none(point) else point_phrase(point, result["grid"])
    if result["folds"]:
        return f"One-standard-error point: {chosen}. The standard error is over {text}, weighed by their size."
    chance = "the initial weights" + (" and of the order of the data" if result["vary"] == "order" else "")
    return (f"One-standard-error point: {chosen}. The standard error is over {text}: the chance of {chance}, not the "
            "sampling error of the validation examples.")
