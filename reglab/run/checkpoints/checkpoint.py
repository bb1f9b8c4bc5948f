"""The checkpoints of a run: `ckpt-<step>` files that are whole or absent, and the best state in its own folder.

The files are those of `tf.train.Checkpoint` and a label (`files.py`). Which ones exist is read from the folder, not
from TensorFlow's `checkpoint` index file: if that is lost or garbled, TensorFlow finds nothing and would silently start
anew.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from reglab.config import ConfigError
from reglab.core.step import State
from reglab.run.checkpoints.files import (
    NoLabel,
    NotOurs,
    labelled_steps,
    remove_all_but,
    remove_unfinished,
    saved_steps,
    write_label,
)
from reglab.run.checkpoints.reading import UNREADABLE, check_whole, first_line, restore_state
from reglab.run.checkpoints.writer import CheckpointWriter
from reglab.storage.reading import Unreadable


class Checkpoints:
    """The checkpoints of one run.

    Args:
      directory: the folder; made at the first save.
      state: the variables that are saved and restored: the whole training state.
      keep: how many checkpoints to keep besides the best.
      holds: whether the run may go back to the checkpoint of a step; the newest of these is kept too.
      run: the run's id; if None, labels are neither written nor required.
      note_saved: called with the step of each checkpoint once it is complete, in another thread.
    """

    def __init__(self, directory: str | os.PathLike[str], state: State, keep: int,
                 holds: Callable[[int], bool] = lambda step: False, *, run: str | None = None,
                 note_saved: Callable[[int], None] | None = None) -> None:
        self._directory, self._state, self._keep = pathlib.Path(directory), state, keep
        self._holds, self._run = holds, run
        self._writer = CheckpointWriter(self._directory, state, keep, holds, run, note_saved)

    def steps(self) -> list[int]:
        """Returns the steps of the complete checkpoints, oldest first. The index file is written last."""
        return saved_steps(self._directory)

    def save(self, *, background: bool = False) -> int:
        """Saves the state under its step, drops the oldest checkpoints beyond `keep`, and returns the step.

        Checkpoints of later steps are dropped too: they must be damaged, or the run would have gone on from them.

        Args:
          background: whether to return once the state is copied; `wait` then tells when it is on disk.
        """
        self._writer.write(background=background)
        return int(self._state["step"])

    def restore_latest(self, warn: Callable[[str], None], *, saved: int | None = None,
                       trusting: bool = False) -> int | None:
        """Restores the newest checkpoint that can be read; returns its step, or None if there are no checkpoints.

        Args:
          warn: gets a line about each damaged checkpoint that is passed over.
          saved: the step of the last completed checkpoint, if known.
          trusting: whether to accept checkpoints without labels, as older versions wrote them.

        Raises:
          ConfigError: there are checkpoints, but none can be read: a silent start from step 0 would lose work.
        """
        steps, unlabelled = self.steps(), []
        for step in reversed(steps):
            try:
                self._restore(step, trusting)
                return self._restored(step, saved, warn, trusting)
            except NoLabel as error:
                unlabelled.append(step)
                self._writer.unfit.add(step)
                warn(f"checkpoint ckpt-{step} is passed over: {error}")
            except NotOurs as error:
                warn(f"checkpoint ckpt-{step} is passed over: {error}")
            except UNREADABLE as error:
                self._writer.unfit.add(step)
                warn(f"checkpoint ckpt-{step} is damaged and passed over ({first_line(error)})")
        for step in unlabelled:  # One that is probably right is better than nothing.
            with contextlib.suppress(*UNREADABLE):
                self._restore(step, True)
                self._writer.unfit.discard(step)
                warn(f"checkpoint ckpt-{step} is taken all the same: it is of step {step}, and no other can be read")
                return self._restored(step, saved, warn, trusting)
        if steps:
            raise ConfigError(f"--model_dir: none of the {len(steps)} checkpoints in {self._directory} can be read; "
                              "put back a whole one, train into another folder, or start anew with --resume=restart")
        return None

    def go_back(self, warn: Callable[[str], None]) -> int:
        """Restores the newest readable checkpoint that may be gone back to; returns its step, or 0 without one."""
        self.wait()
        self._writer.forget_copy()
        for step in reversed(list(filter(self._holds, self.steps()))):
            try:
                self._restore(step, False)
                return step
            except UNREADABLE as error:
                warn(f"checkpoint ckpt-{step} is damaged and passed over ({first_line(error)})")
        return 0

    def save_best(self, evaluation: Mapping[str, Any], *, background: bool = False) -> None:
        """Keeps the state as the best so far: `best/ckpt-<step>` and `best/best.json` with `evaluation`."""
        self._writer.write_best(evaluation, background=background)

    def wait(self, seconds: float | None = None) -> bool:
        """Waits, at most `seconds`, for the saves in the background; returns whether all of them are on disk.

        Raises:
          StorageError: one could not be written.
        """
        return self._writer.wait(seconds)

    @property
    def best_directory(self) -> pathlib.Path:
        """The folder of the best state."""
        return self._directory / "best"

    def check_best(self, step: int) -> None:
        """Checks that `best/ckpt-<step>` is whole.

        Raises:
          NoLabel: it is whole as far as TensorFlow can tell, but has no label.
          Unreadable: it is not.
        """
        check_whole(self.best_directory, step, self._run)

    def remake_best(self, evaluation: Mapping[str, Any]) -> None:
        """Saves the best state again, from the checkpoint of the same step or from the state if that is at that step.

        Raises:
          Unreadable: there is no such checkpoint, or it is damaged.
          StorageError: the file system refuses.
        """
        step = evaluation["step"]
        if step == int(self._state["step"]):
            self.save_best(evaluation)
            return
        check_whole(self._directory, step, self._run)
        self._writer.copy_best(evaluation)

    def restore_best(self, step: int) -> None:
        """Restores the best state, that of `step`.

        Raises:
          One of `UNREADABLE`: it is not whole, which `check_best` tells.
        """
        self._writer.forget_copy()
        restore_state(self.best_directory, step, self._state, self._run, trusting=False)

    def label_best(self, evaluation: Mapping[str, Any]) -> None:
        """Writes the label of the best state and `best.json` again.

        Raises:
          StorageError: the file system refuses.
        """
        self._writer.label_best(evaluation)

    def _restore(self, step: int, trusting: bool) -> None:
        self._writer.forget_copy()
        restore_state(self._directory, step, self._state, self._run, trusting=trusting)

    def _restored(self, step: int, saved: int | None, warn: Callable[[str], None], trusting: bool) -> int:
        """Warns about other damage and removes what a killed process left; returns `step`."""
        if self._run is not None:
            self._check_spares(step, warn, trusting)
        if saved is not None and step < saved and saved not in self.steps():
            warn(f"checkpoint ckpt-{saved} is passed over: ckpt-{saved}.index is missing")
        remove_all_but({*self.steps(), step if saved is None else saved}, self._directory, self._run)
        remove_unfinished(self.best_directory)
        return step

    def _check_spares(self, restored: int, warn: Callable[[str], None], trusting: bool) -> None:
        """Warns about older checkpoints that could not replace the restored one."""
        steps = self.steps()
        if len(steps) < self._keep:  # Otherwise an index may be missing because its checkpoint was being removed.
            steps = sorted({*steps, *labelled_steps(self._directory)})
        for step in steps[:steps.index(restored)]:
            try:
                check_whole(self._directory, step, self._run)
            except NoLabel as error:
                if trusting and self._run is not None:
                    write_label(self._directory, step, self._run)
                else:
                    self._writer.unfit.add(step)
                    warn(f"checkpoint ckpt-{step} would be passed over: {error}; a newer one is whole")
            except Unreadable as error:
                self._writer.unfit.add(step)
                warn(f"checkpoint ckpt-{step} is damaged ({error}); a newer one is whole")

