"""What `metrics.jsonl` and the event files of a run hold: the same points, each in two places.

A point is what was told at a step of a split: a measured step, or an evaluation.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2

from reglab.run.logs.records import read_records
from reglab.storage.reading import Unreadable, is_count, is_number, parse_object, read_bytes

SPLITS: Final = ("train", "validation")
DESCRIPTIONS: Final = frozenset({"custom_scalars__config__", "_hparams_/experiment", "_hparams_/session_start_info"})
_FLOAT: Final = 1  # DT_FLOAT


class Key(NamedTuple):
    """Where a point belongs. Sorts as a run tells its points: an evaluation comes before the step that follows it."""

    step: int
    kind: str  # evaluation or measured
    split: str

    def stays(self, last_step: int) -> bool:
        """Whether the point is known after `last_step` updates; a step is measured before its update."""
        return self.step < last_step or (self.step == last_step and self.kind == "evaluation")


class Point(NamedTuple):
    """The numbers of a point by tag; `source` is the line or the record that holds them, as it is in the file."""

    values: dict[str, float]
    wall_time: float | None
    source: bytes


class MetricLines(NamedTuple):
    """What `metrics.jsonl` holds.

    Attributes:
      points: each valid line's, in order.
      damaged: how many lines are not valid or tell a point again; a last line that was torn by a kill is not counted.
      content: the file as it is.
    """

    points: dict[Key, Point]
    damaged: int
    content: bytes


class EventRecord(NamedTuple):
    """A record as it is in its file. `key` is that of its point; None for headers, descriptions and histograms."""

    step: int
    tags: tuple[str, ...]
    key: Key | None
    source: bytes

    def stays(self, last_step: int) -> bool:
        """As `Key.stays`; the header of a file has no tags and always does."""
        return not self.tags or key_of(self.step, "", self.tags).stays(last_step)


class EventRecords(NamedTuple):
    """What the event files of a split hold.

    Attributes:
      files: the records of each file, in order.
      points: the scalars.
      damaged: file to how many of its records are not whole, a torn end apart.
      torn: the files with a torn end.
      repeated: how many records tell a point again.
    """

    files: dict[pathlib.Path, list[EventRecord]]
    points: dict[Key, Point]
    damaged: dict[pathlib.Path, int]
    torn: set[pathlib.Path]
    repeated: int


def key_of(step: int, split: str, tags: Iterable[str]) -> Key:
    """Where a point with these tags belongs."""
    return Key(step, "evaluation" if any(tag.startswith("evaluation/") for tag in tags) else "measured", split)


def read_metric_lines(path: pathlib.Path) -> MetricLines:
    """Reads `metrics.jsonl`.

    Raises:
      Unreadable: there is no such file, or it cannot be read.
    """
    content = read_bytes(path)
    points: dict[Key, Point] = {}
    damaged = 0
    *lines, last = content.split(b"\n")
    for at, line in enumerate([*lines, last] if last else lines):
        try:
            key, values = _parsed(line)
        except ValueError:
            damaged += at < len(lines)
            continue
        if key in points:
            damaged += 1
        else:
            points[key] = Point(values, None, line + b"\n")
    return MetricLines(points, damaged, content)


def line_stays(line: str, last_step: int) -> bool:
    """Whether a line of `metrics.jsonl` is whole and known after `last_step` updates."""
    try:
        return _parsed(line.encode())[0].stays(last_step)
    except ValueError:
        return False


def _parsed(line: bytes) -> tuple[Key, dict[str, float]]:
    fields: dict[str, Any] = parse_object(line)
    step, split = fields.pop("step", None), fields.pop("split", None)
    if not is_count(step) or split not in SPLITS:
        raise ValueError("no step or split")
    if not all(value is None or is_number(value) for value in fields.values()):
        raise ValueError("no number")
    return key_of(step, split, fields), {tag: math.nan if value is None else float(value)
                                         for tag, value in fields.items()}


def read_event_records(split: str, files: Iterable[pathlib.Path]) -> EventRecords:
    """Reads the event files of a split; one that cannot be read at all counts as one damaged record."""
    records: dict[pathlib.Path, list[EventRecord]] = {}
    points: dict[Key, Point] = {}
    damage: dict[pathlib.Path, int] = {}
    torn: set[pathlib.Path] = set()
    repeated = 0
    for path in files:
        try:
            found = read_records(path)
        except Unreadable:
            damage[path], records[path] = 1, []
            continue
        events = [_parsed_event(data) for data in found.whole]
        records[path] = []
        for event, data in zip(events, found.whole, strict=True):
            if event is None:
                continue
            values = _scalars(event)
            key = key_of(event.step, split, values) if values else None
            if key is not None and key in points:
                repeated += 1
                continue
            if key is not None:
                points[key] = Point(values, event.wall_time, data)
            records[path].append(EventRecord(event.step, tuple(value.tag for value in event.summary.value), key, data))
        if found.damaged or None in events:
            damage[path] = found.damaged + events.count(None)
        if found.torn:
            torn.add(path)
    return EventRecords(records, points, damage, torn, repeated)


def _parsed_event(data: bytes) -> Any | None:
    try:
        return event_pb2.Event.FromString(data)
    except DecodeError:
        return None


def _scalars(event: Any) -> dict[str, float]:
    """The numbers of a record of scalars by tag; none for any other record."""
    values = event.summary.value
    return {value.tag: value.tensor.float_val[0] for value in values} if all(map(_is_scalar, values)) else {}


def _is_scalar(value: Any) -> bool:
    return (value.HasField("tensor") and value.tensor.dtype == _FLOAT and len(value.tensor.float_val) == 1
            and not value.tensor.tensor_shape.dim)


def agree(line: Mapping[str, float], record: Mapping[str, float]) -> bool:
    """Whether a line of `metrics.jsonl` tells what an event record does, which holds float32."""
    if line.keys() != record.keys():
        return False
    with np.errstate(over="ignore"):
        exact = np.array(list(line.values()), np.float64).astype(np.float32)
    rounded = np.array([record[tag] for tag in line], np.float32)
    # A line has null for whatever is not finite.
    return bool(np.all((exact == rounded) | (~np.isfinite(rounded) & ~np.isfinite(exact))))
