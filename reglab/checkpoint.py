"""Checkpoints: `ckpt-<step>` files that are whole or absent, newest first, and the best state apart.

The files are those of `tf.train.Checkpoint`. Which ones exist is read from the folder, not from TensorFlow's
`checkpoint` index file: where that is lost or garbled, TensorFlow finds nothing and would silently start anew.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import tensorflow as tf

from reglab.config import ConfigError
from reglab.distribution import traced
from reglab.files import check_folder_not_removed, write_atomically, writing
from reglab.parameters import Parameters, map_arrays
from reglab.step import State

try:  # `tf.train.Checkpoint`, without TensorFlow's old Keras, which its page imports: a third of a second.
    from tensorflow.python.checkpoint.checkpoint import Checkpoint
except ImportError:
    Checkpoint = tf.train.Checkpoint

_OWN_FILE: Final = re.compile(
    r"ckpt-(?P<step>\d+)(?:\.(?:index|data-\d+-of-\d+)(?P<leftover>\.tempstate\d*)?|_temp)")

COUNTERS: Final = "nonfinite"
"""The name of what `nonfinite.Guard` counts, among the variables of a state that is saved."""

_UNREADABLE: Final = (tf.errors.OpError, ValueError, IndexError, AssertionError, OSError)


class Checkpoints:
    """The checkpoints of one run.

    Args:
      directory: the folder; made at the first save.
      state: the variables that are saved and restored, all of the training state.
      keep: how many to keep, besides the best.
      holds: whether the one of a step may be gone back to: the newest of these is kept too.
    """

    def __init__(self, directory: str | os.PathLike[str], state: State, keep: int,
                 holds: Callable[[int], bool] = lambda step: False) -> None:
        self._directory, self._state, self._keep = pathlib.Path(directory), state, keep
        self._holds = holds
        # What is written is a copy of the state, so that training goes on meanwhile.
        self._copy = map_arrays(tf.Variable, state)
        self._copy_state = traced(self._assign_copy)  # One call for all arrays: a fifth of the time of one each.
        self._saver = Checkpoint(**self._copy)  # One for all saves, which then take a quarter less.
        self._copied_step: int | None = None
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._pending: list[concurrent.futures.Future[None]] = []
        self._written: set[pathlib.Path] = set()  # Folders.

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, oldest first. The index file is what TensorFlow writes last."""
        return _steps(self._directory)

    def save(self, *, background: bool = False) -> int:
        """Saves the state under its step, drops the oldest beyond `keep`, and returns the step.

        Those of later steps go too: the run would stand there if they were not damaged.

        Args:
          background: return once the state is copied; `wait` tells when it is on disk.
        """
        step = int(self._state["step"])
        self._write_copy(self._save_copy, step, background=background)
        return step

    def restore_latest(self, warn: Callable[[str], None]) -> int | None:
        """Restores the newest checkpoint that can be read; None where there is none at all.

        Args:
          warn: told, in a line, of each damaged checkpoint that is passed over.

        Raises:
          ConfigError: there are checkpoints, but none can be read: a silent start from step 0 would lose work.
        """
        steps = self.steps()
        _remove_all_but(steps, self._directory)
        for step in reversed(steps):
            try:
                self._read(self._directory / f"ckpt-{step}")
                return step
            except _UNREADABLE as error:
                warn(f"checkpoint ckpt-{step} is damaged and passed over ({_first_line(error)})")
        if steps:
            raise ConfigError(f"--model_dir: none of the {len(steps)} checkpoints in {self._directory} can be read; "
                              "put back a whole one, or train into another folder")
        return None

    def go_back(self, warn: Callable[[str], None]) -> int:
        """Reads the newest checkpoint that may be gone back to and can be read; its step, 0 where there is none."""
        self.wait()
        self._copied_step = None  # Of a state that is no more.
        for step in reversed(list(filter(self._holds, self.steps()))):
            try:
                self._read(self._directory / f"ckpt-{step}")
                return step
            except _UNREADABLE as error:
                warn(f"checkpoint ckpt-{step} is damaged and passed over ({_first_line(error)})")
        return 0

    def save_best(self, facts: Mapping[str, Any], *, background: bool = False) -> None:
        """Keeps the state as the best so far: `best/ckpt-<step>` and `best/best.json` with `facts`."""
        self._write_copy(self._save_best_copy, dict(facts), background=background)

    def wait(self, seconds: float | None = None) -> bool:
        """Returns when all that was saved in the background is on disk, or after so many seconds; whether it is.

        Raises:
          StorageError: it could not be written.
        """
        if concurrent.futures.wait(self._pending, seconds).not_done:
            return False
        pending, self._pending = self._pending, []
        for write in pending:
            write.result()
        return True

    def _write_copy(self, write: Callable[[Any], None], what: Any, *, background: bool) -> None:
        """Has the writer thread `write(what)` of a copy of the state as it is now."""
        step = int(self._state["step"])
        if not background or step != self._copied_step:
            self.wait()
            self._copy_state()
            self._copied_step = step
        self._pending.append(self._writer.submit(write, what))
        if not background:
            self.wait()

    def _assign_copy(self) -> None:
        map_arrays(lambda copy, variable: copy.assign(variable), self._copy, self._state)

    def _save_copy(self, step: int) -> None:
        with self._writing(self._directory, step):
            self._saver.write(str(self._directory / f"ckpt-{step}"))
            steps = [at for at in self.steps() if at <= step]
            _remove_all_but(steps[-self._keep:] + list(filter(self._holds, steps))[-1:], self._directory)

    def _save_best_copy(self, facts: Mapping[str, Any]) -> None:
        best = self._directory / "best"
        with self._writing(best, facts["step"]):
            self._saver.write(str(best / f"ckpt-{facts['step']}"))
            write_atomically(best / "best.json", json.dumps(facts, indent=2) + "\n")
            _remove_all_but([facts["step"]], best)

    @contextlib.contextmanager
    def _writing(self, folder: pathlib.Path, step: int) -> Iterator[None]:
        """Makes the folder, which TensorFlow would do too, but with all above it: those of a run that was taken away.

        Raises:
          StorageError: the checkpoint cannot be written; nothing is left of it, and the others are as they were.
        """
        with writing(folder / f"ckpt-{step}"):
            for made in {self._directory, folder} & self._written:
                check_folder_not_removed(made)
            folder.mkdir(parents=True, exist_ok=True)
            self._written |= {self._directory, folder}
            try:
                yield
            except Exception:
                with contextlib.suppress(OSError):
                    _remove_all_but(_steps(folder), folder)
                raise

    def best(self, last_step: int) -> dict[str, Any] | None:
        """The facts of the best state so far, unless there is none or it lies beyond `last_step`."""
        try:
            facts: dict[str, Any] = json.loads((self._directory / "best" / "best.json").read_text())
            return facts if facts["step"] <= last_step else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _read(self, prefix: pathlib.Path) -> None:
        self._copied_step = None
        state: dict[str, Any] = {**self._state}
        if COUNTERS in state:
            saved = {name.split("/")[0] for name, _ in tf.train.list_variables(str(prefix))}
            if COUNTERS not in saved:  # When --on_nonfinite was stop, and nothing left out.
                state.pop(COUNTERS).assign(tf.zeros([3], tf.int64))
        Checkpoint(**state).read(str(prefix)).assert_existing_objects_matched()


def read_parameters(directory: pathlib.Path, parameters: Parameters) -> int:
    """Reads the weights of the newest checkpoint in a folder into variables, and leaves the folder as it is.

    Returns:
      The step of the checkpoint.

    Raises:
      ConfigError: there is none, it is damaged, or it is of another network.
    """
    steps = _steps(directory)
    if not steps:
        raise ConfigError(f"--model_dir: {directory} holds no checkpoint: give the other --state, or train the run "
                          "until it has saved one")
    prefix = directory / f"ckpt-{steps[-1]}"
    try:
        # The rest of the state is in the file, but not wanted.
        Checkpoint(parameters=parameters).read(str(prefix)).expect_partial().assert_existing_objects_matched()
    except _UNREADABLE as error:
        raise ConfigError(f"--model_dir: {prefix} cannot be read ({_first_line(error)}): give the other --state, or "
                          "go on with the run, which passes damaged checkpoints over") from None
    return steps[-1]


def _steps(directory: pathlib.Path) -> list[int]:
    found = (re.fullmatch(r"ckpt-(\d+)\.index", path.name) for path in directory.glob("ckpt-*.index"))
    return sorted(int(match[1]) for match in found if match)


def _remove_all_but(steps: Collection[int], directory: pathlib.Path) -> None:
    """Removes the checkpoints of other steps, and what a kill during a save or a removal left behind."""
    # An index first: without it the rest counts as no checkpoint, whenever this is interrupted.
    for path in sorted(directory.glob("ckpt-*"), key=lambda path: path.suffix != ".index"):
        match = _OWN_FILE.fullmatch(path.name)
        if match and path.is_dir():
            shutil.rmtree(path)
        elif match and (match["leftover"] or int(match["step"]) not in steps):
            path.unlink()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
