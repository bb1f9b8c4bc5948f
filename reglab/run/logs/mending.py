"""Cuts `metrics.jsonl` and the event files of a run back to its checkpoint, and mends them.

A run killed between two checkpoints has logged steps that it will take again: they are dropped, so that no step is
recorded twice. Everything up to the checkpoint was on disk before the checkpoint was: a point found in only one of the
two places is written again in the other, and one found in neither is reported. Unchanged files are not written.
"""

from __future__ import annotations

import glob
import pathlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from tensorboard.compat.proto import event_pb2, summary_pb2

from reglab.config import ConfigError
from reglab.run.logs.event_points import EventRecords, read_event_records
from reglab.run.logs.foreign import without_foreign
from reglab.run.logs.metric_lines import MetricLines, read_metric_lines
from reglab.run.logs.points import SPLITS, Key, Point, agree
from reglab.run.logs.records import framed
from reglab.run.logs.rhythm import Expected
from reglab.run.logs.summaries import metrics_line, scalar_values
from reglab.storage.files import remove_temporaries, write_atomically
from reglab.storage.reading import Missing, Unreadable

Warn = Callable[[str], None]


class Logs(NamedTuple):
    """The contents of the mended logs.

    Attributes:
      points: the points up to the checkpoint.
      told: the tags of the validation run that are not points: descriptions of pages, and texts.
    """

    points: Mapping[Key, Point]
    told: frozenset[str]


def mend_logs(folder: pathlib.Path, event_files: Mapping[str, Sequence[pathlib.Path]], last_step: int, warn: Warn, *,
              expected: Expected | None = None, ending: str = "") -> Logs:
    """Drops everything after `last_step` and writes again what is lost before it, if the other place still has it.

    Args:
      event_files: the run's own event files of each split; no others are read.
      warn: gets a line for each loss and whether it was repaired.
      expected: what must be there; if not given, whatever is in one place must be in the other.
      ending: the end of the name of a new event file.

    Raises:
      ConfigError: `metrics.jsonl` is not a file or cannot be read.
      OSError: the file system refuses to write.
    """
    path = folder / "metrics.jsonl"
    lines, problem = _read_metrics(path)
    events, foreign = without_foreign({split: read_event_records(split, event_files.get(split, ()), lines.points)
                                       for split in SPLITS}, lines.points)
    if lines.are_older or any(records.are_older for records in events.values()):
        warn("metrics.jsonl and event files have the tags of an earlier reglab: written again under those of today")
    for other in foreign:
        warn(f"{other.parent.name}/{other.name} holds the records of another run, dropped")
    in_lines = {key: point for key, point in lines.points.items() if key.stays(last_step)}
    in_events = {key: point for split in SPLITS for key, point in events[split].points.items() if key.stays(last_step)}
    wrong = [key for key, point in in_lines.items()
             if not (agree(point.values, in_events[key].values) if key in in_events
                     else expected is None or key in expected.points)]
    for key in wrong:
        del in_lines[key]
    _mend_metrics(path, lines, in_lines, in_events, lines.damaged + len(wrong), problem, warn)
    for split in SPLITS:
        mine = {key: point for key, point in in_lines.items() if key.split == split}
        _mend_events(folder / split, events[split], mine, last_step, warn, ending)
    joined = {**in_events, **in_lines}
    if expected is not None:
        _warn_of_lost(joined, events["train"], expected, warn)
    told = frozenset(tag for records in events["validation"].files.values() for record in records
                     if record.key is None and record.stays(last_step) for tag in record.tags)
    return Logs({key: joined[key] for key in sorted(joined)}, told)


def _read_metrics(path: pathlib.Path) -> tuple[MetricLines, str | None]:
    try:
        return read_metric_lines(path), None
    except Missing as error:
        return MetricLines({}, 0, b""), str(error)
    except Unreadable as error:
        raise ConfigError(f"--model_dir: {path} {error}: move it away, it is then written again") from None


def _mend_metrics(path: pathlib.Path, lines: MetricLines, valid: Mapping[Key, Point], in_events: Mapping[Key, Point],
                  damaged: int, problem: str | None, warn: Warn) -> None:
    lost = [key for key in in_events if key not in valid]
    if lost or damaged:
        lines_lost = _count(len(lost), "line")
        what = problem or (f"has {_count(damaged, 'damaged line')}" if damaged else f"lacks {lines_lost}")
        warn(f"metrics.jsonl {what}" + (f": {lines_lost} written again from the event files, which have float32"
                                        if lost else ", dropped"))
    content = {key: point.source for key, point in valid.items()}
    for key in lost:
        content[key] = metrics_line(key.step, key.split, in_events[key].values).encode()
    order = sorted(content) if lost else list(content)
    new = b"".join(content[key] for key in order)
    if new != lines.content:
        write_atomically(path, new)
    else:
        _remove_leftover(path)


def _mend_events(folder: pathlib.Path, found: EventRecords, in_lines: Mapping[Key, Point], last_step: int, warn: Warn,
                 ending: str) -> None:
    lost = [key for key in in_lines if key not in found.points]
    for path, count in found.damaged.items():
        warn(f"{folder.name}/{path.name} has {_count(count, 'damaged record')}, dropped")
    if lost:
        places = [path.name for path in found.torn] or [path.name for path in found.files if len(found.files) == 1]
        where = f"{folder.name}/{places[0]}" if places else f"{folder.name}/"
        warn(f"{where} lacks {_count(len(lost), 'record')}: written again from metrics.jsonl")
    if lost or found.damaged or found.repeated or found.are_older:
        _write_anew(folder, found, in_lines, last_step, ending)
        return
    for path, records in found.files.items():
        kept = [record.source for record in records if record.stays(last_step)]
        if path in found.torn or len(kept) < len(records):
            _write_records(path, kept)
        else:
            _remove_leftover(path)


def _write_anew(folder: pathlib.Path, found: EventRecords, in_lines: Mapping[Key, Point], last_step: int,
                ending: str) -> None:
    """Writes everything known of a split to one file, in the place of the first, and describes each tag anew."""
    records = [record for records in found.files.values() for record in records if record.stays(last_step)]
    points = {**in_lines, **{key: point for key, point in found.points.items() if key.stays(last_step)}}
    described: set[str] = set()
    wall_time = min((point.wall_time for point in points.values() if point.wall_time is not None),
                    default=time.time())
    entries: list[tuple[tuple[int, str, int], bytes]] = [
        ((record.step, "evaluation", 1), record.source) for record in records if record.key is None and record.tags]
    for key in sorted(points):
        # A line of metrics.jsonl has no time: that of the point before is close.
        wall_time = points[key].wall_time or wall_time
        summary = summary_pb2.Summary(value=scalar_values(points[key].values, described))
        event = event_pb2.Event(wall_time=wall_time, step=key.step, summary=summary)
        entries.append(((key.step, key.kind, 0), event.SerializeToString()))
    entries.sort(key=lambda entry: entry[0])
    header = event_pb2.Event(wall_time=wall_time, file_version="brain.Event:2")
    path = next(iter(found.files), folder / f"events.out.tfevents.{int(time.time()) - 1:010d}.again.0.0{ending}")
    folder.mkdir(parents=True, exist_ok=True)
    _write_records(path, [header.SerializeToString(), *(source for _, source in entries)])
    for other in found.files:
        if other != path:
            other.unlink()


def _write_records(path: pathlib.Path, records: Sequence[bytes]) -> None:
    write_atomically(path, lambda file: file.writelines(map(framed, records)))


def _warn_of_lost(known: Collection[Key], train: EventRecords, expected: Expected, warn: Warn) -> None:
    lost = sorted(expected.points - set(known))
    if lost:
        warn(f"metrics.jsonl and the event files both lack {_count(len(lost), 'point')}, from step {lost[0].step} to "
             f"{lost[-1].step}: they cannot be written again")
    found = {record.step for records in train.files.values() for record in records
             if record.key is None and record.stays(record.step)}
    if expected.histograms - found:
        warn(f"train/ lacks the histograms of {_count(len(expected.histograms - found), 'evaluation')}: they cannot be "
             "written again")


def _remove_leftover(path: pathlib.Path) -> None:
    """Removes what a process killed while writing the file anew left beside it."""
    remove_temporaries(path.parent, [glob.escape(path.name)])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
