"""Reads `metrics.jsonl`, line by line."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from reglab.run.logs.older_tags import are_older, completed, of_today
from reglab.run.logs.points import SPLITS, Key, Point, key_of
from reglab.run.logs.summaries import metrics_line
from reglab.run.logs.tags import PENALTY
from reglab.storage.reading import is_count, is_number, parse_object, read_bytes


class MetricLines(NamedTuple):
    """The contents of `metrics.jsonl`.

    Attributes:
      points: the point of each valid line, in order.
      damaged: how many lines are not valid or repeat a point, not counting a last line torn by a kill.
      content: the bytes of the file.
      are_older: whether it has tags of an earlier reglab; the points here have today's.
    """

    points: dict[Key, Point]
    damaged: int
    content: bytes
    are_older: bool = False


def read_metric_lines(path: pathlib.Path) -> MetricLines:
    """Reads `metrics.jsonl`.

    Raises:
      Unreadable: there is no such file, or it cannot be read.
    """
    content = read_bytes(path)
    points: dict[Key, Point] = {}
    damaged, older = 0, False
    *lines, last = content.split(b"\n")
    for at, line in enumerate([*lines, last] if last else lines):
        try:
            key, values, is_older = _parsed(line)
        except ValueError:
            damaged += at < len(lines)
            continue
        if key in points:
            damaged += 1
        else:
            points[key] = Point(values, None, line + b"\n")
            older |= is_older
    return MetricLines(_of_today(points) if older else points, damaged, content, older)


def _of_today(points: Mapping[Key, Point]) -> dict[Key, Point]:
    """Returns the points with today's tags and the lines for these."""
    found = {}
    for key, point in points.items():
        of_weights = points.get(key._replace(split="validation"))
        values = completed(point.values, of_weights.values.get(PENALTY) if of_weights else None)
        found[key] = Point(values, None, metrics_line(key.step, key.split, values).encode())
    return found


def _parsed(line: bytes) -> tuple[Key, dict[str, float], bool]:
    """Returns the key of a line's point, its numbers under today's tags, and whether the line had older ones."""
    fields: dict[str, Any] = parse_object(line)
    step, split = fields.pop("step", None), fields.pop("split", None)
    if not is_count(step) or split not in SPLITS:
        raise ValueError("no step or split")
    if not all(value is None or is_number(value) for value in fields.values()):
        raise ValueError("no number")
    values = of_today({tag: math.nan if value is None else float(value) for tag, value in fields.items()})
    return key_of(step, split, values), values, are_older(fields)
