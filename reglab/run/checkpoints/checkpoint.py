"""Checkpoints: `ckpt-<step>` files that are whole or absent, newest first, and the best state apart.

The files are those of `tf.train.Checkpoint` and a label (`files.py`). Which ones exist is read from the
folder, not from TensorFlow's `checkpoint` index file: where that is lost or garbled, TensorFlow finds nothing and would
silently start anew.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import tensorflow as tf

from reglab.config import ConfigError
from reglab.core.parameters import map_arrays
from reglab.core.step import State
from reglab.engine.replicas import traced
from reglab.run.checkpoints.files import (
    STAGING,
    NoLabel,
    NotOurs,
    check_label,
    is_of_other_run,
    labelled_steps,
    parse_best,
    put_in_place,
    remove_all_but,
    remove_unfinished,
    saved_steps,
    write_label,
)
from reglab.run.checkpoints.reading import UNREADABLE, check_whole, first_line, is_evaluation
from reglab.storage.files import check_folder_not_removed, write_atomically, writing
from reglab.storage.reading import Unreadable

COUNTERS: Final = "nonfinite"
"""The name of what `nonfinite.Guard` counts, among the variables of a state that is saved."""


class Checkpoints:
    """The checkpoints of one run.

    Args:
      directory: the folder; made at the first save.
      state: the variables that are saved and restored, all of the training state.
      keep: how many to keep, besides the best.
      holds: whether the one of a step may be gone back to: the newest of these is kept too.
      run: the run's id; None writes no labels and asks for none.
      note_saved: told the step of each checkpoint once it is complete, in another thread.
    """

    def __init__(self, directory: str | os.PathLike[str], state: State, keep: int,
                 holds: Callable[[int], bool] = lambda step: False, *, run: str | None = None,
                 note_saved: Callable[[int], None] | None = None) -> None:
        self._directory, self._state, self._keep = pathlib.Path(directory), state, keep
        self._holds, self._run, self._note_saved = holds, run, note_saved
        # What is written is a copy of the state, so that training goes on meanwhile.
        self._copy = map_arrays(tf.Variable, state)
        self._copy_state = traced(self._assign_copy)  # One call for all arrays: a fifth of the time of one each.
        self._saver = tf.train.Checkpoint(**self._copy)  # One for all saves, which then take a quarter less.
        self._copied_step: int | None = None
        self._unfit: set[int] = set()  # Steps whose checkpoints were found damaged: they do not count among the kept.
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._pending: list[concurrent.futures.Future[None]] = []
        self._written: set[pathlib.Path] = set()  # Folders.

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, oldest first. The index file is what comes last."""
        return saved_steps(self._directory)

    def save(self, *, background: bool = False) -> int:
        """Saves the state under its step, drops the oldest beyond `keep`, and returns the step.

        Those of later steps go too: the run would stand there if they were not damaged.

        Args:
          background: return once the state is copied; `wait` tells when it is on disk.
        """
        step = int(self._state["step"])
        self._write_copy(self._save_copy, step, background=background)
        return step

    def restore_latest(self, warn: Callable[[str], None], *, saved: int | None = None,
                       trusting: bool = False) -> int | None:
        """Restores the newest checkpoint that can be read; None where there is none at all.

        Args:
          warn: told, in a line, of each damaged checkpoint that is passed over.
          saved: the step of the checkpoint that was completed last, where that is known.
          trusting: takes checkpoints without labels, as older versions wrote them.

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
                self._unfit.add(step)
                warn(f"checkpoint ckpt-{step} is passed over: {error}")
            except NotOurs as error:
                warn(f"checkpoint ckpt-{step} is passed over: {error}")
            except UNREADABLE as error:
                self._unfit.add(step)
                warn(f"checkpoint ckpt-{step} is damaged and passed over ({first_line(error)})")
        for step in unlabelled:  # Better one that is probably right than nothing.
            with contextlib.suppress(*UNREADABLE):
                self._restore(step, True)
                self._unfit.discard(step)
                warn(f"checkpoint ckpt-{step} is taken all the same: it is of step {step}, and no other can be read")
                return self._restored(step, saved, warn, trusting)
        if steps:
            raise ConfigError(f"--model_dir: none of the {len(steps)} checkpoints in {self._directory} can be read; "
                              "put back a whole one, train into another folder, or start anew with --resume=restart")
        return None

    def go_back(self, warn: Callable[[str], None]) -> int:
        """Reads the newest checkpoint that may be gone back to and can be read; its step, 0 where there is none."""
        self.wait()
        self._copied_step = None  # Of a state that is no more.
        for step in reversed(list(filter(self._holds, self.steps()))):
            try:
                self._restore(step, False)
                return step
            except UNREADABLE as error:
                warn(f"checkpoint ckpt-{step} is damaged and passed over ({first_line(error)})")
        return 0

    def save_best(self, evaluation: Mapping[str, Any], *, background: bool = False) -> None:
        """Keeps the state as the best so far: `best/ckpt-<step>` and `best/best.json` with `evaluation`."""
        self._write_copy(self._save_best_copy, dict(evaluation), background=background)

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

    def read_best(self) -> dict[str, Any]:
        """The contents of `best.json`: step, epoch, and data loss and accuracy of the validation split.

        Raises:
          Missing: there is none.
          Unreadable: it is damaged.
        """
        evaluation = parse_best(self.best_directory / "best.json")
        if not is_evaluation(evaluation):
            raise Unreadable("does not tell the best step")
        return evaluation

    def best(self, last_step: int) -> dict[str, Any] | None:
        """The evaluation of the best state so far, unless there is none or it lies beyond `last_step`."""
        try:
            evaluation = self.read_best()
        except Unreadable:
            return None
        return evaluation if evaluation["step"] <= last_step else None

    @property
    def best_directory(self) -> pathlib.Path:
        """Where the best state is."""
        return self._directory / "best"

    def check_best(self, step: int) -> None:
        """Passes where `best/ckpt-<step>` is whole.

        Raises:
          NoLabel: it is, as far as TensorFlow can tell, but has no label.
          Unreadable: it is not.
        """
        check_whole(self.best_directory, step, self._run)

    def remake_best(self, evaluation: Mapping[str, Any]) -> None:
        """Makes the best state again of the checkpoint of the same step, or of the state where it is at that step.

        Raises:
          Unreadable: there is no such checkpoint, or it is damaged.
          StorageError: the file system refuses.
        """
        step = evaluation["step"]
        if step == int(self._state["step"]):
            self.save_best(evaluation)
            return
        check_whole(self._directory, step, self._run)
        with self._writing(self.best_directory, step) as staging:
            for path in self._directory.glob(f"ckpt-{step}.*"):
                shutil.copyfile(path, staging / path.name)
            self._complete_best(staging, evaluation)

    def label_best(self, evaluation: Mapping[str, Any]) -> None:
        """Writes the label of the best state, and `best.json`, again.

        Raises:
          StorageError: the file system refuses.
        """
        with writing(self.best_directory, tensorflow=False):
            if self._run is not None:
                write_label(self.best_directory, evaluation["step"], self._run, evaluation)
            write_atomically(self.best_directory / "best.json", json.dumps(evaluation, indent=2) + "\n")

    def _restore(self, step: int, trusting: bool) -> None:
        without_label = False
        if self._run is not None:
            try:
                check_label(self._directory, step, self._run)
            except NoLabel:
                if not trusting:
                    raise
                without_label = True
        self._copied_step = None
        self._read(str(self._directory / f"ckpt-{step}"))
        if int(self._state["step"]) != step:
            raise NotOurs(f"it is a copy of ckpt-{int(self._state['step'])}")
        if without_label and self._run is not None:
            with writing(self._directory, tensorflow=False):  # What is refused here is no damage of the checkpoint.
                write_label(self._directory, step, self._run)

    def _read(self, prefix: str) -> None:
        state: dict[str, Any] = {**self._state}
        if COUNTERS in state:
            saved = {name.split("/")[0] for name, _ in tf.train.list_variables(prefix)}
            if COUNTERS not in saved:  # When --on_nonfinite was stop, and nothing left out.
                state.pop(COUNTERS).assign(tf.zeros([3], tf.int64))
        tf.train.Checkpoint(**state).read(prefix).assert_existing_objects_matched()

    def _restored(self, step: int, saved: int | None, warn: Callable[[str], None], trusting: bool) -> int:
        """Warns of what is damaged besides, and sweeps what a kill left behind."""
        if self._run is not None:
            self._check_spares(step, warn, trusting)
        if saved is not None and step < saved and saved not in self.steps():
            warn(f"checkpoint ckpt-{saved} is passed over: ckpt-{saved}.index is missing")
        remove_all_but({*self.steps(), step if saved is None else saved}, self._directory, self._run)
        remove_unfinished(self.best_directory)
        return step

    def _check_spares(self, restored: int, warn: Callable[[str], None], trusting: bool) -> None:
        """Warns of older checkpoints that could not stand in for the one that was restored."""
        steps = self.steps()
        if len(steps) < self._keep:  # Else an index may be gone because the checkpoint was being removed.
            steps = sorted({*steps, *labelled_steps(self._directory)})
        for step in steps[:steps.index(restored)]:
            try:
                check_whole(self._directory, step, self._run)
            except NoLabel as error:
                if trusting and self._run is not None:
                    write_label(self._directory, step, self._run)
                else:
                    self._unfit.add(step)
                    warn(f"checkpoint ckpt-{step} would be passed over: {error}; a newer one is whole")
            except Unreadable as error:
                self._unfit.add(step)
                warn(f"checkpoint ckpt-{step} is damaged ({error}); a newer one is whole")

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
        with self._writing(self._directory, step) as staging:
            self._saver.write(str(staging / f"ckpt-{step}"))
            put_in_place(staging, step, self._run)
            if self._note_saved is not None:
                self._note_saved(step)
            self._unfit.discard(step)
            kept = [at for at in self.steps() if at <= step and at not in self._unfit
                    and not is_of_other_run(self._directory, at, self._run)]
            remove_all_but(kept[-self._keep:] + list(filter(self._holds, kept))[-1:], self._directory, self._run)

    def _save_best_copy(self, evaluation: Mapping[str, Any]) -> None:
        with self._writing(self.best_directory, evaluation["step"]) as staging:
            self._saver.write(str(staging / f"ckpt-{evaluation['step']}"))
            self._complete_best(staging, evaluation)

    @contextlib.contextmanager
    def _writing(self, folder: pathlib.Path, step: int) -> Iterator[pathlib.Path]:
        """Makes the folder, which TensorFlow would do too, but with all above it: those of a run that was taken away.

        Gives:
          an empty folder in it, where the checkpoint is written before it is put in place.

        Raises:
          StorageError: the checkpoint cannot be written; nothing is left of it, and the others are as they were.
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
        write_atomically(self.best_directory / "best.json", json.dumps(evaluation, indent=2) + "\n")
        remove_all_but([evaluation["step"]], self.best_directory, self._run)
