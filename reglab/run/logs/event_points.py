"""Reads the event files of a split, record by record."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2

from reglab.run.logs.older_tags import are_older, completed, histogram_of_today, of_today
from reglab.run.logs.points import Key, Point, key_of
from reglab.run.logs.records import read_records
from reglab.run.logs.tags import PENALTY
from reglab.storage.reading import Unreadable

PAGES: Final = frozenset({"custom_scalars__config__", "_hparams_/experiment", "_hparams_/session_start_info"})
"""The tags by which a run describes charts and columns, once, in its validation run."""
_FLOAT: Final = 1  # DT_FLOAT


class EventRecord(NamedTuple):
    """A record as it is in its file. `key` is that of its point, or None for headers, descriptions and histograms."""

    step: int
    tags: tuple[str, ...]
    key: Key | None
    source: bytes

    def stays(self, last_step: int) -> bool:
        """Returns the same as `Key.stays`; the header of a file, which has no tags, always stays."""
        return not self.tags or key_of(self.step, "", self.tags).stays(last_step)


class EventRecords(NamedTuple):
    """The contents of the event files of a split.

    Attributes:
      files: the records of each file, in order.
      points: the scalars.
      damaged: maps files to how many of their records are not whole, not counting a torn end.
      torn: the files with a torn end.
      repeated: how many records repeat a point.
      are_older: whether any have tags of an earlier reglab; here they have today's tags, and the descriptions of pages,
        which name tags, are left out.
    """

    files: dict[pathlib.Path, list[EventRecord]]
    points: dict[Key, Point]
    damaged: dict[pathlib.Path, int]
    torn: set[pathlib.Path]
    repeated: int
    are_older: bool = False


def read_event_records(split: str, files: Iterable[pathlib.Path], lines: Mapping[Key, Point] | None = None
                       ) -> EventRecords:
    """Reads the event files of a split; one that cannot be read at all counts as one damaged record.

    Args:
      lines: the points of `metrics.jsonl`, which supply what an earlier reglab did not write of the training split.
    """
    records: dict[pathlib.Path, list[EventRecord]] = {}
    points: dict[Key, Point] = {}
    damage: dict[pathlib.Path, int] = {}
    torn: set[pathlib.Path] = set()
    repeated, older = 0, False
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
            record, point, is_older = _record(event, data, split, lines or {})
            older |= is_older
            if record.key is not None and record.key in points:
                repeated += 1
                continue
            if record.key is not None and point is not None:
                points[record.key] = point
            records[path].append(record)
        if found.damaged or None in events:
            damage[path] = found.damaged + events.count(None)
        if found.torn:
            torn.add(path)
    if older:
        records = {path: [record for record in each if not PAGES & set(record.tags)]
                   for path, each in records.items()}
    return EventRecords(records, points, damage, torn, repeated, older)


def _record(event: Any, data: bytes, split: str, lines: Mapping[Key, Point]) -> tuple[EventRecord, Point | None, bool]:
    """Returns a record and its point, with today's tags, and whether it had older ones."""
    tags, values = tuple(value.tag for value in event.summary.value), of_today(_scalars(event))
    is_older = are_older(tags)
    if values:
        key = key_of(event.step, split, values)
        if is_older and key in lines:
            values = completed(values, lines[key].values.get(PENALTY))
        return EventRecord(event.step, tuple(values), key, data), Point(values, event.wall_time, data), is_older
    if is_older:
        for value in event.summary.value:
            value.tag = histogram_of_today(value.tag)
        tags, data = tuple(value.tag for value in event.summary.value), event.SerializeToString()
    return EventRecord(event.step, tags, None, data), None, is_older


def _parsed_event(data: bytes) -> Any | None:
    try:
        return event_pb2.Event.FromString(data)
    except DecodeError:
        return None


def _scalars(event: Any) -> dict[str, float]:
    """Maps tags to the numbers of a record of scalars; empty for any other record."""
    values = event.summary.value
    return {value.tag: value.tensor.float_val[0] for value in values} if all(map(_is_scalar, values)) else {}


def _is_scalar(value: Any) -> bool:
    return (value.HasField("tensor") and value.tensor.dtype == _FLOAT and len(value.tensor.float_val) == 1
            and not value.tensor.tensor_shape.dim)
