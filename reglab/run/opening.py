"""Opens the folder of a run: finds what the run saved, mends what is damaged, and refuses what is not safe.

Nothing is written before it is clear that the run can go on, or begin.
"""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from reglab.config import Config, ConfigError
from reglab.core.step import State
from reglab.run.checkpoints.best import find_best
from reglab.run.checkpoints.checkpoint import Checkpoints
from reglab.run.checkpoints.files import own_files, saved_steps
from reglab.run.going_on import check_done
from reglab.run.logs.event_points import read_event_records
from reglab.run.logs.forgetting import forget_end
from reglab.run.logs.mending import mend_logs
from reglab.run.logs.metric_lines import read_metric_lines
from reglab.run.logs.points import SPLITS, Key, Point, agree
from reglab.run.logs.rhythm import Expected, Rhythm
from reglab.run.logs.tags import ACCURACY, DATA_LOSS
from reglab.run.patience import trained_steps
from reglab.run.result_file import read_result
from reglab.run.run_directory import RunDirectory
from reglab.storage.reading import Unreadable


class Opened(NamedTuple):
    """Where the run stands.

    Attributes:
      step: the step to which the state was restored, or None for a run that begins.
      best: the evaluation of the best state so far.
      result: the result, if the run is complete.
      told: what the event files hold besides points: descriptions of pages, and texts.
    """

    checkpoints: Checkpoints
    step: int | None
    best: dict[str, Any] | None
    result: dict[str, Any] | None
    told: frozenset[str]


def open_folder(config: Config, directory: RunDirectory, state: State, warn: Callable[[str], None],
                is_due: Callable[[int], bool], rhythm: Rhythm | None) -> Opened:
    """Restores the state, if there is one, and mends the files that belong to it; arguments as for `open_journal`.

    Raises:
      ConfigError: the folder cannot be written, or holds a run that had saved checkpoints of which none can be read.
    """
    checkpoints = Checkpoints(directory.checkpoints, state, config.keep,
                              *([is_due] if config.on_nonfinite == "restore" else []), run=directory.run_file.run,
                              note_saved=lambda step: directory.note(saved=step))
    step = None
    if directory.exists:
        step = checkpoints.restore_latest(warn, saved=directory.run_file.saved, trusting=directory.is_older)
        if step is None:
            _refuse_lost_run(directory)
        elif directory.goes_on_from is not None:
            _go_on(config, directory.goes_on_from, directory, step, rhythm, warn)
    adopted = () if directory.knows_run or not directory.holds_run else _adopted_events(directory, warn)
    warned = len(directory.warnings)
    directory.create(events=adopted, saved=step)
    for line in directory.warnings[warned:]:
        warn(line)
    if not directory.exists:
        return Opened(checkpoints, None, None, None, frozenset())
    last_step = _last_logged(directory, config, step)
    # A run that went back may have skipped an evaluation.
    expected = None if rhythm is None or config.on_nonfinite == "restore" else Expected.of(config, rhythm, last_step)
    logs = mend_logs(directory.path, directory.event_files(), last_step, warn, expected=expected,
                     ending=f".{directory.run_file.run}")
    if step is None:
        return Opened(checkpoints, None, None, None, frozenset())
    evaluated = [(key, point) for key, point in logs.points.items() if _is_of_best(key, point)]
    evaluations = [_evaluated(key, point, rhythm, at + 1) for at, (key, point) in enumerate(evaluated)]
    best = find_best(checkpoints, evaluations, last_step, warn, directory.is_older)
    result = read_result(directory.path / "result.json", config, step, directory.run_file.result, warn)
    return Opened(checkpoints, step, best, result, logs.told)


def _go_on(config: Config, theirs: Config, directory: RunDirectory, step: int, rhythm: Rhythm | None,
           warn: Callable[[str], None]) -> None:
    """Makes the run one of `config` that stands at `step`, except for its configuration, which is to be written then.

    Killed on its way, the run is still one of `theirs`, without a result.

    Raises:
      ConfigError: what the run has done is not what one of `config` would have done.
    """
    assert rhythm is not None, "whoever goes on knows the length of an epoch"
    steps = rhythm.steps_per_epoch
    best = max(saved_steps(directory.checkpoints / "best"), default=None)
    superfluous = check_done(config, theirs, f"--model_dir={directory.path}", step=step,
                             steps_per_epoch=steps, best=best)
    directory.remove_result()
    mend_logs(directory.path, directory.event_files(), step, warn, ending=f".{directory.run_file.run}",
              expected=Expected.of(theirs, Rhythm.of(theirs, steps), step))
    forget_end(directory, superfluous)


def _last_logged(directory: RunDirectory, config: Config, step: int | None) -> int:
    """Returns the step up to which the logs belong to the run: `step`, to which it was restored, or the last that it
    took if it ended with an earlier state."""
    if step is None or config.patience is None:
        return step or 0
    result = read_result(directory.path / "result.json", config, step, directory.run_file.result, lambda text: None)
    return max(step, trained_steps(result))


def _evaluated(key: Key, point: Point, rhythm: Rhythm | None, count: int) -> dict[str, Any]:
    """Returns an evaluation in the form of `best.json`; its epoch is `count` if the length of epochs is not known."""
    return {"step": key.step, "epoch": count if rhythm is None else key.step // rhythm.steps_per_epoch,
            "data_loss": point.values[DATA_LOSS], "accuracy": point.values[ACCURACY]}


def _is_of_best(key: Key, point: Point) -> bool:
    return key.split == "validation" and all(math.isfinite(point.values.get(tag, math.nan))
                                             for tag in (DATA_LOSS, ACCURACY))


def _refuse_lost_run(directory: RunDirectory) -> None:
    """Refuses to begin at step 0 in the folder of a run that had gone on, or may have.

    Raises:
      ConfigError: the run had gone on, or may have.
    """
    saved, left = directory.run_file.saved, _what_is_left(directory)
    began_to_save = saved is not None or "result.json" in left
    if began_to_save or (left and not directory.knows_run):
        how_far = f"was saved at step {saved}" if saved is not None else "went on"
        raise ConfigError(f"--model_dir={directory.path} holds a run that {how_far}, but no checkpoint of it in "
                          f"{directory.checkpoints} (left: {', '.join(left) or 'run.json'}): put the checkpoints back, "
                          "name another folder, or start anew with --resume=restart")


def _what_is_left(directory: RunDirectory) -> list[str]:
    """Returns what shows that a run was there, for people; the files that every run begins with do not count."""
    left = [name for name in ("result.json", "metrics.jsonl") if _has_content(directory.path / name)]
    left += [f"{split}/{path.name}" for split in SPLITS for path in directory.all_event_files(split)
             if read_event_records(split, [path]).points]
    best = directory.checkpoints / "best"
    pieces = [*own_files(directory.checkpoints), *own_files(best), best / "best.json"]
    return left + [str(path.relative_to(directory.path)) for path in pieces if _has_content(path)]


def _has_content(path: pathlib.Path) -> bool:
    try:
        return path.is_file() and os.stat(path).st_size > 0
    except OSError:
        return True


def _adopted_events(directory: RunDirectory, warn: Callable[[str], None]) -> Sequence[str]:
    """Returns the event files without the run's id in their names that agree with `metrics.jsonl`: an older reglab
    wrote them. Others are left alone, and so are all in a split where the run has written files with its id, since
    a copy of those would agree too."""
    try:
        lines = read_metric_lines(directory.metrics).points
    except Unreadable:
        lines = {}
    adopted = []
    for split in SPLITS:
        own = directory.event_files()[split]
        for path in [] if own else directory.all_event_files(split):
            points = read_event_records(split, [path], lines).points
            shared = [agree(lines[key].values, point.values) for key, point in points.items() if key in lines]
            alike = [bool({"train_batch/data_loss", DATA_LOSS} & set(point.values)) for point in points.values()]
            if 2 * sum(shared) > len(shared) or (points and not lines and all(alike)):
                adopted.append(f"{split}/{path.name}")
            elif points:
                warn(f"{split}/{path.name} does not tell what metrics.jsonl tells: it is left as it is")
    return sorted(adopted)
