"""The curves of a run: what was evaluated after each epoch, read from its `metrics.jsonl`."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from reglab.records.told import count_at, number_at
from reglab.run.logs.older_tags import are_older, completed, of_today
from reglab.run.logs.tags import ACCURACY, DATA_LOSS, PENALTY, TOTAL
from reglab.storage.reading import Missing, Unreadable, parse_object, read_bytes

_MARKS: Final = (b'"epoch/', b'"evaluation/')
"""What only the lines of evaluations have; the others, of single batches, may be millions."""
_SPLITS: Final = ("train", "validation")


class Curves(NamedTuple):
    """Evaluations in the order of their steps.

    Attributes:
      steps: how many updates had been made at each.
      values: [evaluations] of each name: `train_data_loss`, `train_accuracy`, `train_total`, the same of validation,
        `gap`, `accuracy_gap`, `penalty`, `sparsity`; None where a number is missing or not finite.
      last: the tags of the last evaluation, with their numbers.
      damaged: how many lines could not be read, the last one, which a kill may have torn, not counted.
    """

    steps: Sequence[int]
    values: Mapping[str, Sequence[float | None]]
    last: Mapping[str, float]
    damaged: int = 0


def read_curves(path: pathlib.Path) -> Curves:
    """Reads the evaluations in `metrics.jsonl`; there are none where it is missing.

    Raises:
      Unreadable: it cannot be read.
    """
    try:
        lines = read_bytes(path).split(b"\n")
    except Missing:
        lines = []
    points: dict[int, dict[str, dict[str, Any]]] = {}
    damaged = 0
    for at, line in enumerate(lines):
        if line and not any(mark in line for mark in _MARKS):
            damaged += at + 1 < len(lines) and not (line.startswith(b"{") and line.endswith(b"}"))
            continue
        try:
            fields = parse_object(line) if line else {}
        except ValueError:
            damaged += at + 1 < len(lines)
            continue
        step, split = count_at(fields, "step"), fields.get("split")
        if step is not None and split in _SPLITS:
            points.setdefault(step, {})[split] = _of_today(fields)
    return _curves(dict(sorted(points.items())), damaged)


def _of_today(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the numbers of a line under today's tags, with None for what is no finite number."""
    values: dict[str, Any] = {tag: number_at(fields, tag) for tag in fields if tag not in ("step", "split")}
    return completed(of_today(values), None) if are_older(values) else values


def _curves(points: Mapping[int, Mapping[str, Mapping[str, Any]]], damaged: int) -> Curves:
    def column(split: str, tag: str) -> list[float | None]:
        return [number_at(point, split, tag) for point in points.values()]

    values = {f"{split}_{name}": column(split, tag) for split in _SPLITS
              for name, tag in (("data_loss", DATA_LOSS), ("accuracy", ACCURACY), ("total", TOTAL))}
    values["gap"] = _difference(values["validation_data_loss"], values["train_data_loss"])
    values["accuracy_gap"] = _difference(values["train_accuracy"], values["validation_accuracy"])
    values["penalty"] = column("validation", PENALTY)
    values["sparsity"] = column("validation", "sparsity/total")
    last: Mapping[str, Any] = {} if not points else points[max(points)].get("validation", {})
    return Curves(list(points), values, {tag: value for tag, value in last.items() if value is not None}, damaged)


def _difference(a: Sequence[float | None], b: Sequence[float | None]) -> list[float | None]:
    return [None if x is None or y is None else x - y for x, y in zip(a, b, strict=True)]


def read_curves_or_line(folder: pathlib.Path) -> tuple[Curves, list[str]]:
    """Returns the curves of a run and a line about each way in which its `metrics.jsonl` is damaged."""
    try:
        curves = read_curves(folder / "metrics.jsonl")
    except Unreadable as error:
        return Curves([], {}, {}), [f"metrics.jsonl {error}"]
    count = curves.damaged
    return curves, [f"metrics.jsonl has {count:,} damaged {'line' if count == 1 else 'lines'}"] if count else []
