"""Finds event files named like a run's own that hold another run's records, because one was copied over."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping

from reglab.run.logs.event_points import EventRecords, read_event_records
from reglab.run.logs.points import Key, Point, agree


def without_foreign(events: Mapping[str, EventRecords], lines: Mapping[Key, Point]
                    ) -> tuple[dict[str, EventRecords], list[pathlib.Path]]:
    """Returns the records of each split without those of foreign files, which count as empty, and these files.

    A file is foreign if it shares two points or more with `metrics.jsonl` and differs in all of them, while another
    file agrees in at least one. The agreement shows that `metrics.jsonl` is the run's own; two points are needed, since
    a single difference may come from a damaged line.

    Args:
      lines: the points of `metrics.jsonl`.
    """
    agreement = {path: found for split in events.values() for path, found in _agreement(split, lines)}
    if not any(any(found) for found in agreement.values()):
        return dict(events), []
    foreign = [path for path, found in agreement.items() if len(found) > 1 and not any(found)]
    return {split: _without(split, records, foreign, lines) for split, records in events.items()}, foreign


def _agreement(found: EventRecords, lines: Mapping[Key, Point]) -> Iterator[tuple[pathlib.Path, list[bool]]]:
    """Yields each file with, for each point that it shares with the lines, whether the two agree."""
    for path, records in found.files.items():
        keys = [record.key for record in records if record.key is not None and record.key in lines]
        yield path, [agree(lines[key].values, found.points[key].values) for key in keys]


def _without(split: str, found: EventRecords, foreign: list[pathlib.Path], lines: Mapping[Key, Point]) -> EventRecords:
    gone = [path for path in found.files if path in foreign]
    if not gone:
        return found
    left = read_event_records(split, [path for path in found.files if path not in foreign], lines)
    return left._replace(files={**left.files, **{path: [] for path in gone}})
