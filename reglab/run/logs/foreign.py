"""Event files that bear a run's name and hold another run's records, as a copy over one does."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping

from reglab.run.logs.event_points import EventRecords, read_event_records
from reglab.run.logs.points import Key, Point, agree


def without_foreign(events: Mapping[str, EventRecords], lines: Mapping[Key, Point]
                    ) -> tuple[dict[str, EventRecords], list[pathlib.Path]]:
    """The records of each split without those of foreign files, which count as empty, and these files.

    A file is foreign if it tells two points or more that `metrics.jsonl` has and all of them otherwise, while another
    file tells one as it does: so that is the run's own, and a damaged line would not be alone in all of a file.

    Args:
      lines: what `metrics.jsonl` tells.
    """
    agreement = {path: found for split in events.values() for path, found in _agreement(split, lines)}
    if not any(any(found) for found in agreement.values()):
        return dict(events), []
    foreign = [path for path, found in agreement.items() if len(found) > 1 and not any(found)]
    return {split: _without(split, records, foreign, lines) for split, records in events.items()}, foreign


def _agreement(found: EventRecords, lines: Mapping[Key, Point]) -> Iterator[tuple[pathlib.Path, list[bool]]]:
    """Each file, and for each point that it and the lines have whether these tell the same."""
    for path, records in found.files.items():
        keys = [record.key for record in records if record.key is not None and record.key in lines]
        yield path, [agree(lines[key].values, found.points[key].values) for key in keys]


def _without(split: str, found: EventRecords, foreign: list[pathlib.Path], lines: Mapping[Key, Point]) -> EventRecords:
    gone = [path for path in found.files if path in foreign]
    if not gone:
        return found
    left = read_event_records(split, [path for path in found.files if path not in foreign], lines)
    return left._replace(files={**left.files, **{path: [] for path in gone}})
