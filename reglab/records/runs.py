"""What the folder of a run tells."""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Final

from reglab.inputs.texts import one_line
from reglab.records.record import LEFT_OUT, Record, changed_at
from reglab.records.told import count_at, mapping_at, number_at, told_in, value_at
from reglab.run.checkpoints.files import parse_best
from reglab.run.patience import ENDING, trained_steps
from reglab.run.result_file import parse_result, wrong_field
from reglab.run.run_file import ENDS, RunFile, read_run_file
from reglab.storage.locks import is_held, owner_of
from reglab.storage.reading import Missing, Unreadable, parse_object, read_bytes, read_object

_TAIL: Final = 1 << 14
"""How many bytes at the end of `metrics.jsonl` are read for the step that a run has reached."""


def read_run(folder: pathlib.Path) -> Record:
    """Returns the record of a run; whatever cannot be read is among its problems."""
    problems: list[str] = []
    run_file = _run_file(folder, problems)
    config = _object(folder / "config.json", problems, None if run_file is None else run_file.config)
    facts = _object(folder / "data.json", problems, None if run_file is None else run_file.data)
    changed = changed_at(*(folder / name for name in ("result.json", "metrics.jsonl", "run.json", "config.json")))
    if config is None:
        return Record(folder, "run", "broken", problems[-1], changed=changed, problems=problems)
    result = _result(folder, run_file, problems)
    last = _last_point(folder / "metrics.jsonl")
    saved = None if run_file is None else run_file.saved
    step = count_at(result, "steps") if result else max(
        (count for count in (saved, count_at(last, "step")) if count is not None), default=None)
    state, note = _state(folder, result, run_file, last)
    settings = {name: value for name, value in config.items() if name not in LEFT_OUT}
    return Record(folder, "run", state, note, settings, result, facts or {}, step, _steps(config, facts or {}),
                  _best(folder, result), changed, None, problems)


def _run_file(folder: pathlib.Path, problems: list[str]) -> RunFile | None:
    try:
        return read_run_file(folder)
    except Missing:  # As in the folder of an older reglab; whoever needs a copy in it hears of that.
        return None
    except Unreadable as error:
        problems.append(f"run.json {error}")
        return None


def _object(path: pathlib.Path, problems: list[str], copy: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Returns the object in a file or, if that cannot be read, the copy in `run.json`."""
    try:
        return told_in(read_object, path)
    except Unreadable as error:
        problems.append(f"{path.name} {error}" + (": read from run.json" if copy else ""))
        return copy


def _result(folder: pathlib.Path, run_file: RunFile | None, problems: list[str]) -> Mapping[str, Any]:
    """Returns the contents of `result.json` if it is whole and the run has not gone on since then, else nothing."""
    path = folder / "result.json"
    try:
        result = told_in(parse_result, path)
        wrong = wrong_field(result)
        if wrong is not None:
            raise Unreadable(f"does not tell {wrong!r} as a result does")
        if run_file and run_file.result and hashlib.sha256(read_bytes(path)).hexdigest() != run_file.result:
            raise Unreadable("is not as the run wrote it")
    except Missing as error:
        if run_file and run_file.result:
            problems.append(f"result.json {error}")
        return {}
    except Unreadable as error:
        problems.append(f"result.json {error}")
        return {}
    has_gone_on = run_file is not None and run_file.saved is not None and run_file.saved > trained_steps(result)
    return {} if has_gone_on else result


def _state(folder: pathlib.Path, result: Mapping[str, Any], run_file: RunFile | None, last: Mapping[str, Any]
           ) -> tuple[str, str]:
    running = running_note(folder)
    if running is not None:
        return "running", running
    if result:
        early = mapping_at(result, ENDING)
        return "done", f"stopped early after epoch {early['epochs']}" if early.get("stopped") is True else ""
    ended = mapping_at(run_file and run_file.ended)
    if ended.get("how") in ENDS:
        return str(ended["how"]), one_line(ended.get("line", ""), 300)
    losses = [last[name] for name in ("train_batch/data_loss", "epoch/data_loss") if name in last]
    if losses and None in losses:
        return "diverged", f"the data loss was not finite at step {count_at(last, 'step')}"
    return "unfinished", "" if last or (run_file and run_file.saved) else "nothing was saved"


def running_note(folder: pathlib.Path) -> str | None:
    """Returns who works in a folder, for people, or None if nobody does."""
    if not is_held(folder):
        return None
    owner = owner_of(folder)
    return "" if owner is None else f"process {owner.pid} on {owner.host} since {owner.since}"


def _last_point(path: pathlib.Path) -> Mapping[str, Any]:
    """Returns the last whole line of `metrics.jsonl`; empty if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - _TAIL, 0))
            lines = file.read(_TAIL).splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            return parse_object(line)
        except ValueError:
            continue
    return {}


def _steps(config: Mapping[str, Any], facts: Mapping[str, Any]) -> int | None:
    examples, size = count_at(facts, "sizes", "train"), count_at(config, "batch_size")
    epochs = count_at(config, "epochs")
    return epochs * -(-examples // size) if examples and size and epochs else None


def _best(folder: pathlib.Path, result: Mapping[str, Any]) -> Mapping[str, float | None]:
    best: Any = value_at(result, "best")
    if not best:
        try:
            best = told_in(parse_best, folder / "checkpoints" / "best" / "best.json")
        except Unreadable:
            best = None
    return {name: number_at(best, name) for name in ("data_loss", "accuracy")} if best else {}
