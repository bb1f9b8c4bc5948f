"""Drops from the logs of a run that goes on further than it was to what it told of itself as the shorter one."""

from __future__ import annotations

from reglab.run.logs.event_points import PAGES, EventRecord, read_event_records
from reglab.run.logs.metric_lines import read_metric_lines
from reglab.run.logs.points import SPLITS, Key
from reglab.run.logs.records import framed
from reglab.run.logs.tags import ABOUT_FOUND, ABOUT_RUN, FIRST_LAYER
from reglab.run.run_directory import RunDirectory
from reglab.storage.files import write_atomically

_OF_WHOLE_RUN = PAGES | {ABOUT_FOUND, ABOUT_RUN, FIRST_LAYER}
"""The tags that tell of the run as a whole, its number of epochs among them."""


def forget_end(directory: RunDirectory, evaluation: int | None) -> None:
    """Drops what was told of the whole run, so that it is told again, and perhaps the last evaluation.

    Each file is replaced as a whole, so it does no harm to do this twice.

    Args:
      evaluation: the step of an evaluation that the longer run does not make, or write.

    Raises:
      OSError: the file system refuses to write.
      Unreadable: there is no `metrics.jsonl`.
    """
    lines = read_metric_lines(directory.metrics)
    kept = [point.source for key, point in lines.points.items() if not _is_of(key, evaluation)]
    if len(kept) < len(lines.points):
        write_atomically(directory.metrics, b"".join(kept))
    for split in SPLITS:
        for path, records in read_event_records(split, directory.event_files()[split]).files.items():
            left = [record.source for record in records if not _is_stale(record, evaluation)]
            if len(left) < len(records):
                write_atomically(path, b"".join(map(framed, left)))


def _is_stale(record: EventRecord, evaluation: int | None) -> bool:
    if record.key is not None:
        return _is_of(record.key, evaluation)
    return bool(record.tags) and (bool(_OF_WHOLE_RUN & set(record.tags)) or record.step == evaluation)


def _is_of(key: Key, evaluation: int | None) -> bool:
    return key.kind == "evaluation" and key.step == evaluation
