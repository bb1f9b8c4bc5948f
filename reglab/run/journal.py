"""What a run writes while it goes on: metrics, event files and checkpoints, kept in step with one another.

Order is all here. What was measured up to a checkpoint is on disk before the checkpoint is; what lies beyond the
restored one is dropped before the run goes on. So every step is told exactly once, however a run was killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reglab.config import Config, ConfigError
from reglab.core import penalties
from reglab.core.step import State
from reglab.engine.training import Calls
from reglab.run.checkpoints.best import keep_best
from reglab.run.logs.event_file import EventFile
from reglab.run.logs.mending import Rhythm
from reglab.run.logs.points import SPLITS
from reglab.run.logs.summaries import MetricsFile, RunWriter
from reglab.run.opening import open_folder
from reglab.run.run_directory import RunDirectory
from reglab.storage.files import StorageError, refusal


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Both splits after `step` updates, each example counted once, and the weights' own figures.

    `train` and `validation` have `data`, each term by the name of its penalty, their sum `penalty`, `total` and
    `accuracy`, `weights` the rest by tag.
    """

    step: int
    epoch: int
    train: dict[str, float]
    validation: dict[str, float]
    weights: dict[str, float]

    @staticmethod
    def of(step: int, epoch: int, train: Mapping[str, float], validation: Mapping[str, float],
           weights: Mapping[str, float]) -> Evaluation:
        """Joins the data loss and accuracy of the splits with the penalties of the weights."""
        terms = {name: weights[f"penalty/{name}"] for name in penalties.names() if f"penalty/{name}" in weights}
        total = weights["penalty/total"]
        splits = [{**split, **terms, "penalty": total, "total": split["data"] + total}
                  for split in (train, validation)]
        return Evaluation(step, epoch, splits[0], splits[1], dict(weights))

    @property
    def gap(self) -> dict[str, float]:
        """The generalization gap: in data loss validation − training, in accuracy training − validation."""
        return {"data": self.validation["data"] - self.train["data"],
                "accuracy": self.train["accuracy"] - self.validation["accuracy"]}


class Journal:
    """Writes nothing: the journal of a run without a folder, and the interface of `FolderJournal`.

    Attributes:
      restored_step: the step the state was restored to; 0 for a new run.
      finished_result: the result of a run that is already complete, else None.
      best: the facts of the best evaluation so far: step, epoch, data, accuracy of the validation split.
      begins_again: whether the folder holds a run that had saved nothing yet, and so begins at step 0.
    """

    restored_step: int = 0
    begins_again: bool = False
    finished_result: dict[str, Any] | None = None
    best: dict[str, Any] | None = None

    def write_reports(self, calls: Calls) -> None:
        """The measured steps of a call."""

    def write_evaluation(self, evaluation: Evaluation, extra: Mapping[str, float]) -> None:
        """An evaluation of both splits, and further tags for training; keeps the state if it is the best so far."""
        self._note_best(evaluation)

    def write_histograms(self, step: int, kernels: Mapping[str, np.ndarray]) -> None:
        """The distribution of every kernel, by layer."""

    def confirm_best(self) -> dict[str, Any] | None:
        """`best`, once its state was read back; with `"lost": true` where that is damaged and cannot be made again."""
        return self.best

    def write_result(self, result: Mapping[str, Any]) -> None:
        """The end of a complete run."""

    def save(self) -> bool:
        """Begins a checkpoint, after all that was written so far is on disk; whether there will be one.

        Training, and the other workers with it, go on while it is written. `close` returns when it is.
        """
        return False

    def go_back(self) -> int:
        """Restores the newest checkpoint that was due and is whole; returns its step, 0 where there is none."""
        return 0

    def wait(self, seconds: float) -> bool:
        """Waits that long for what `save` has begun; whether all of it is on disk."""
        return True

    def close(self) -> None:
        """Ends all files."""

    def _note_best(self, evaluation: Evaluation) -> bool:
        """Whether the evaluation has the lowest validation data loss so far: the penalty never chooses."""
        data = evaluation.validation["data"]
        if not math.isfinite(data) or (self.best is not None and data >= self.best["data"]):
            return False
        self.best = {"step": evaluation.step, "epoch": evaluation.epoch,
                     "data": data, "accuracy": evaluation.validation["accuracy"]}
        return True


class FolderJournal(Journal):
    """The journal of a run with a folder. Opening it restores the state, if there is one to restore."""

    def __init__(self, config: Config, directory: RunDirectory, state: State, warn: Callable[[str], None],
                 is_due: Callable[[int], bool] = lambda step: False, rhythm: Rhythm | None = None) -> None:
        self._directory, self._warn = directory, warn
        for line in directory.warnings:
            warn(line)
        opened = open_folder(config, directory, state, warn, is_due, rhythm)
        self._is_written, self._wrote_evaluation = written_epochs(config), True
        self._checkpoints = opened.checkpoints
        self.restored_step, self.begins_again = opened.step or 0, opened.step is None and directory.exists
        self.best, self.finished_result = opened.best, opened.result
        self._metrics = MetricsFile(directory.metrics)
        self._writers = {split: _run_writer(directory, split) for split in SPLITS}
        if not opened.described:
            self._writers["validation"].describe(hyperparameters(config), directory.path.name)

    def write_reports(self, calls: Calls) -> None:
        """See `Journal`."""
        now = time.time()
        for k, step in enumerate(calls.report_steps.tolist()):
            self._write(step, "train", {tag: float(values[k]) for tag, values in calls.reports.items()}, now)

    def write_evaluation(self, evaluation: Evaluation, extra: Mapping[str, float]) -> None:
        """See `Journal`."""
        self._wrote_evaluation = self._is_written(evaluation.epoch)
        if self._wrote_evaluation:
            self._write_both(evaluation, extra)
        if self._note_best(evaluation):
            assert self.best is not None
            self._directory.keep_whole()
            self._checkpoints.save_best(self.best, background=True)

    def _write_both(self, evaluation: Evaluation, extra: Mapping[str, float]) -> None:
        now, step = time.time(), evaluation.step
        self._write(step, "train", {**_evaluation_tags(evaluation.train), **extra}, now)
        self._write(step, "validation", {
            "loss/total": evaluation.validation["total"], "loss/data": evaluation.validation["data"],
            "accuracy": evaluation.validation["accuracy"], **evaluation.weights,
            **_evaluation_tags(evaluation.validation),
            "gap/data": evaluation.gap["data"], "gap/accuracy": evaluation.gap["accuracy"]}, now)

    def write_histograms(self, step: int, kernels: Mapping[str, np.ndarray]) -> None:
        """See `Journal`."""
        if self._wrote_evaluation:
            self._writers["train"].histograms(step, {f"evaluation/{layer}/kernel": kernel
                                                     for layer, kernel in kernels.items()})

    def confirm_best(self) -> dict[str, Any] | None:
        """See `Journal`."""
        self._checkpoints.wait()
        if self.best is None or keep_best(self._checkpoints, self.best, self._warn):
            return self.best
        return {**self.best, "lost": True}

    def write_result(self, result: Mapping[str, Any]) -> None:
        """See `Journal`."""
        self._flush()
        self._checkpoints.wait()
        self._directory.write_result(result)

    def save(self) -> bool:
        """See `Journal`."""
        self._flush()
        self._checkpoints.save(background=True)
        return True

    def go_back(self) -> int:
        """See `Journal`."""
        return self._checkpoints.go_back(self._warn)

    def wait(self, seconds: float) -> bool:
        """See `Journal`."""
        return self._checkpoints.wait(seconds)

    def close(self) -> None:
        """See `Journal`: when it returns, all checkpoints are on disk."""
        with contextlib.ExitStack() as stack:
            for writer in self._writers.values():
                stack.callback(writer.close)
            stack.callback(self._metrics.close)
            self._checkpoints.wait()

    def _write(self, step: int, split: str, values: Mapping[str, float], wall_time: float) -> None:
        self._metrics.write(step, split, values)
        self._writers[split].scalars(step, values, wall_time)

    def _flush(self) -> None:
        self._directory.keep_whole()
        self._metrics.flush()
        for writer in self._writers.values():
            writer.flush()


def open_journal(config: Config, directory: RunDirectory | None, state: State, warn: Callable[[str], None],
                 is_due: Callable[[int], bool] = lambda step: False, rhythm: Rhythm | None = None) -> Journal:
    """The journal of a run; one that writes nothing if there is no folder.

    Args:
      warn: told, in a line, of each damage that was found and what came of it.
      is_due: whether a checkpoint is made at a step however the run is interrupted.
      rhythm: where it is given, points that are lost from both metrics and event files are noticed.

    Raises:
      ConfigError: the folder cannot be written, or holds a run that went on but none of whose checkpoints can be read.
    """
    if directory is None:
        return Journal()
    try:
        return FolderJournal(config, directory, state, warn, is_due, rhythm)
    except StorageError as error:  # Nothing has been trained yet.
        raise ConfigError(f"--model_dir={directory.path}: {error}") from error
    except OSError as error:
        raise ConfigError(f"--model_dir={directory.path}: "
                          f"{refusal(error.filename or directory.path, error)}") from error


def _run_writer(directory: RunDirectory, split: str) -> RunWriter:
    """A new event file. Its name ends in the run's id, by which the run knows its own files again."""
    folder = directory.path / split
    return RunWriter(folder, EventFile(folder, f".{directory.run_file.run}"))


def written_epochs(config: Config) -> Callable[[int], bool]:
    """Whether an epoch's evaluation is written: `max_points` of them at the most, the last among them."""
    last = -(-config.epochs // config.evaluate_every)  # The last is evaluated in any case.
    every = 1 if config.max_points is None else (last - 1) // config.max_points + 1
    return lambda epoch: epoch == config.epochs or epoch // config.evaluate_every % every == 0


def _evaluation_tags(split: Mapping[str, float]) -> dict[str, float]:
    """Tags that stand for whole splits, in both runs: `loss/data` of the train run is that of single batches."""
    return {"evaluation/loss/data": split["data"], "evaluation/accuracy": split["accuracy"]}


def hyperparameters(config: Config) -> dict[str, Any]:
    """The columns of the HParams page, which takes numbers, texts and truth values only."""
    names = ("penalize", "dataset", "train_size", "label_noise", "activation", "optimizer",
             "learning_rate", "schedule", "batch_size", "epochs", "seed", "precision")
    values = {name: getattr(config, name) for name in names}
    return {**config.strengths.told, **{name: value for name, value in values.items() if value is not None},
            "hidden": ",".join(map(str, config.hidden)) or "none",
            # Only where they are not what they are for the runs there are, whose pages stay as they are.
            **({"model": config.model, "dropout": config.dropout} if config.model != "mlp" or config.dropout else {})}
