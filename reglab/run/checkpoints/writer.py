"""Writes checkpoints, each whole or not at all, in a separate thread from a copy of the state."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from reglab.core.parameters import map_arrays
from reglab.core.step import State
from reglab.engine.replicas import traced
from reglab.run.checkpoints.files import (
    STAGING,
    is_of_other_run,
    labelled_steps,
    put_in_place,
    remove_all_but,
    saved_steps,
    write_label,
)
from reglab.storage.files import check_folder_not_removed, write_atomically, writing


class CheckpointWriter:
    """Writes the checkpoints of one run while training goes on.

    Args:
      directory: the folder; made at the first save.
      state: the variables that are saved.
      keep: how many checkpoints to keep besides the best.
      holds: whether the run may go back to the checkpoint of a step; the newest of these is kept too.
      run: the run's id; if None, no labels are written.
      note_saved: called with the step of each checkpoint once it is complete, in the writer's thread.

    Attributes:
      unfit: the steps whose checkpoints were found damaged; they do not count towards `keep`.
    """

    def __init__(self, directory: pathlib.Path, state: State, keep: int, holds: Callable[[int], bool],
                 run: str | None, note_saved: Callable[[int], None] | None) -> None:
        self._directory, self._state, self._keep = directory, state, keep
        self._holds, self._run, self._note_saved = holds, run, note_saved
        # A copy of the state is written, so that training can go on meanwhile.
        self._copy = map_arrays(tf.Variable, state)
        self._copy_state = traced(self._assign_copy)  # One call for all arrays: a fifth of the time of one call each.
        self._saver = tf.train.Checkpoint(**self._copy)  # One for all saves, which takes a quarter less time.
        self._copied_step: int | None = None
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._pending: list[concurrent.futures.Future[None]] = []
        self._written: set[pathlib.Path] = set()  # Folders.
        self.unfit: set[int] = set()

    def write(self, *, background: bool) -> None:
        """Writes the state under its step, and removes the checkpoints beyond `keep`."""
        self._write_copy(self._save_copy, int(self._state["step"]), background=background)

    def write_best(self, evaluation: Mapping[str, Any], *, background: bool) -> None:
        """Writes the state as the best so far."""
        self._write_copy(self._save_best_copy, dict(evaluation), background=background)

    def copy_best(self, evaluation: Mapping[str, Any]) -> None:
        """Makes a copy of the checkpoint of the same step the best so far."""
        step = evaluation["step"]
        with self._writing(self._directory / "best", step) as staging:
            for path in self._directory.glob(f"ckpt-{step}.*"):
                shutil.copyfile(path, staging / path.name)
            self._complete_best(staging, evaluation)

    def label_best(self, evaluation: Mapping[str, Any]) -> None:
        """Writes the label of the best state and `best.json` again."""
        best = self._directory / "best"
        with writing(best, tensorflow=False):
            if self._run is not None:
                write_label(best, evaluation["step"], self._run, evaluation)
            write_atomically(best / "best.json", json.dumps(evaluation, indent=2) + "\n")

    def forget_copy(self) -> None:
        """To be called when the state changes without its step, so that the next save copies it."""
        self._copied_step = None

    def wait(self, seconds: float | None = None) -> bool:
        """Waits, at most `seconds`, for the saves in the background; returns whether all of them are on disk.

        Raises:
          StorageError: one could not be written.
        """
        if concurrent.futures.wait(self._pending, seconds).not_done:
            return False
        pending, self._pending = self._pending, []
        for write in pending:
            write.result()
        return True

    def _write_copy(self, write: Callable[[Any], None], what: Any, *, background: bool) -> None:
        """Lets the writer's thread call `write(what)`, given a copy of the current state."""
        step = int(self._state["step"])
        if not background or step != self._copied_step:
            self.wait()
            self._copy_state()
            self._copied_step = step
        self._pending.append(self._thread.submit(write, what))
        if not background:
            self.wait()

    def _assign_copy(self) -> None:
        map_arrays(lambda copy, variable: copy.assign(variable), self._copy, self._state)

    def _save_copy(self, step: int) -> None:
        with self._writing(self._directory, step) as staging:
            self._saver.write(str(staging / f"ckpt-{step}"))
            put_in_place(staging, step, self._run)
            if self._note_saved is not None:
                self._note_saved(step)
            self.unfit.discard(step)
            kept = [at for at in saved_steps(self._directory) if at <= step and at not in self.unfit
                    and not is_of_other_run(self._directory, at, self._run)]
            remove_all_but(kept[-self._keep:] + list(filter(self._holds, kept))[-1:], self._directory, self._run)

    def _save_best_copy(self, evaluation: Mapping[str, Any]) -> None:
        with self._writing(self._directory / "best", evaluation["step"]) as staging:
            self._saver.write(str(staging / f"ckpt-{evaluation['step']}"))
            self._complete_best(staging, evaluation)

    @contextlib.contextmanager
    def _writing(self, folder: pathlib.Path, step: int) -> Iterator[pathlib.Path]:
        """Makes the folder. TensorFlow would too, but it would also restore a run's folder that was removed meanwhile.

        Yields:
          An empty folder inside, in which the checkpoint is written before it is moved to its place.

        Raises:
          StorageError: the checkpoint cannot be written; nothing is left of it, and the others are unchanged.
        """
        with writing(folder / f"ckpt-{step}"):
            for made in {self._directory, folder} & self._written:
                check_folder_not_removed(made)
            folder.mkdir(parents=True, exist_ok=True)
            self._written |= {self._directory, folder}
            try:
                staging = folder / STAGING
                shutil.rmtree(staging, ignore_errors=True)
                staging.mkdir()
                yield staging
            except Exception:
                with contextlib.suppress(OSError):
                    others = {*labelled_steps(folder)} - {step}  # If one lacks its index, that may be put back.
                    remove_all_but({*saved_steps(folder), *others}, folder, self._run)
                raise

    def _complete_best(self, staging: pathlib.Path, evaluation: Mapping[str, Any]) -> None:
        put_in_place(staging, evaluation["step"], self._run, evaluation)
        write_atomically(self._directory / "best" / "best.json", json.dumps(evaluation, indent=2) + "\n")
        remove_all_but([evaluation["step"]], self._directory / "best", self._run)
