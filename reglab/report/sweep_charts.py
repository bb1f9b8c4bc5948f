"""The points of a sweep or a path along one setting: accuracy, data loss and nonzero entries, with standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reglab.records.settings import spoken
from reglab.records.told import count_at, number_at, value_at
from reglab.report.axes import linear, named, of_losses
from reglab.report.charts import HUES, Line, Spot, chart, key_mark
from reglab.report.document import Picture, Pictures
from reglab.report.views import LETTERS
from reglab.storage.reading import is_number

Point = Mapping[str, Any]
_PANELS: Final = (("Data loss (nats)", ("data_loss",)), ("Accuracy (%)", ("accuracy",)),
                  ("Nonzero kernel entries", ("nonzero",)))
_MOST_WITH_TRAINING: Final = 2


def sweep_pictures(content: Mapping[str, Any], points: Sequence[Point], names: Sequence[str]) -> Pictures | None:
    """Draws the points along the setting with the most values, a line for each choice of the others.

    Returns None if no setting has several numbers.
    """
    values = {name: sorted({value_at(point, name) for point in points if is_number(value_at(point, name))})
              for name in names}
    along = max((name for name in names if len(values[name]) > 1), key=lambda name: len(values[name]), default=None)
    if along is None:
        return None
    lines = _groups(points, along, [name for name in names if name != along])
    places = places_of(values[along])
    x = named([places[value] for value in values[along]], [spoken(value) for value in values[along]])
    pictures = []
    for title, metric in _PANELS:
        drawn = _drawn(lines, along, places, metric)
        known = [value for line in drawn for part in (line.y, line.low or [], line.high or []) for value in part
                 if value is not None]
        if not known:
            continue
        y = (of_losses(known, from_zero=False) if metric == ("data_loss",) else
             linear(known, percent=metric == ("accuracy",), from_zero=metric == ("nonzero",)))
        title += ", log scale" if y.is_log else ""
        spots = _spots(content, points, along, places, metric)
        pictures.append(Picture(title, chart(title, drawn, x, y, along, spots)))
    key = [(key_mark(_hue(at)), f"{LETTERS[at]} {name}") for at, (name, _) in enumerate(lines[:HUES]) if name]
    if len(lines) > HUES:
        key.append((key_mark(None), f"the other {len(lines) - HUES}"))
    if len(lines) == 1:
        key.append((key_mark(0), "validation part"))
    if len(lines) <= _MOST_WITH_TRAINING:
        key.append((key_mark(5 if len(lines) > 1 else 0, is_dashed=True), "training part"))
    return Pictures(pictures, key, ["Star: best. Diamond: one-standard-error point. Bars: ± one standard error."])


def places_of(values: Sequence[float]) -> dict[float, float]:
    """Returns where ascending numbers lie on an axis: by their logarithms, 0 one step to the left of the smallest.

    Negative numbers, of which no setting of a sweep has any, have the place of 0.
    """
    logs = [math.log10(value) for value in values if value > 0]
    step = (logs[-1] - logs[0]) / (len(logs) - 1) if len(logs) > 1 else 1.0
    left = logs[0] - step if logs else 0.0
    return {value: math.log10(value) if value > 0 else left for value in values}


def _groups(points: Sequence[Point], along: str, others: Sequence[str]) -> list[tuple[str, list[Point]]]:
    """Returns the points by the values of the other settings, those of the lowest loss first, each in order."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        if is_number(value_at(point, along)):
            name = ", ".join(f"{other} = {spoken(value_at(point, other))}" for other in others)
            groups.setdefault(name, []).append(point)
    for members in groups.values():
        members.sort(key=lambda point: float(point[along]))
    ranked = list(groups.items())
    if len(ranked) > HUES:
        ranked.sort(key=lambda group: min(_loss(point) for point in group[1]))
    return ranked


def _drawn(groups: Sequence[tuple[str, list[Point]]], along: str, places: Mapping[float, float],
           metric: tuple[str, ...]) -> list[Line]:
    lines = []
    for at, (name, members) in enumerate(groups):
        x = [places[point[along]] for point in members]
        splits: list[tuple[str, ...]] = [()] if metric == ("nonzero",) else [("validation",)]
        if splits != [()] and len(groups) <= _MOST_WITH_TRAINING:
            splits.insert(0, ("train",))
        for split in splits:
            means = [number_at(point, *split, *metric, "mean") for point in members]
            errors = [number_at(point, *split, *metric, "se") for point in members]
            has_bars = split != ("train",) and len(groups) <= HUES and any(errors)
            low, high = ([None if mean is None else mean + sign * (error or 0.0)
                          for mean, error in zip(means, errors, strict=True)] for sign in (-1, 1))
            lines.append(Line(", ".join(filter(None, [name, *split])) or "nonzero", x, means, _hue(at),
                              LETTERS[at] if name and split != ("train",) and at < HUES else "", split == ("train",),
                              low if has_bars else None, high if has_bars else None, bars=True))
    return lines


def _spots(content: Mapping[str, Any], points: Sequence[Point], along: str, places: Mapping[float, float],
           metric: tuple[str, ...]) -> list[Spot]:
    spots = []
    for key, name in (("best", "best"), ("one_standard_error", "one-standard-error point")):
        at = count_at(content, key)
        point = points[at] if at is not None and at < len(points) else {}
        value = number_at(point, *(() if metric == ("nonzero",) else ("validation",)), *metric, "mean")
        place = places.get(point.get(along, math.nan)) if is_number(point.get(along)) else None
        if value is not None and place is not None:
            spots.append(Spot(name, place, value, key == "best"))
    return spots


def _hue(at: int) -> int | None:
    return at if at < HUES else None


def _loss(point: Point) -> float:
    loss = number_at(point, "validation", "data_loss", "mean")
    return math.inf if loss is None else loss
