"""What a run with a folder writes as it goes on: metrics, event files and checkpoints, kept consistent.

The order of the writes ensures that. Everything measured up to a checkpoint is on disk before the checkpoint is, and
everything after the restored checkpoint is dropped before the run goes on. So every step is recorded exactly once,
however a run was killed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reglab.config import Config, ConfigError
from reglab.console.format import summary_lines
from reglab.core.step import State
from reglab.engine.training import Calls
from reglab.run.checkpoints.best import keep_best
from reglab.run.evaluation import Evaluation
from reglab.run.journal import Journal
from reglab.run.logs.event_file import EventFile
from reglab.run.logs.event_points import PAGES
from reglab.run.logs.pages import table
from reglab.run.logs.points import SPLITS
from reglab.run.logs.rhythm import Rhythm, written_epochs
from reglab.run.logs.summaries import MetricsFile, RunWriter
from reglab.run.logs.tags import ABOUT_FOUND, ABOUT_RUN, ABOUT_TAGS, FIRST_LAYER, gap_tags, kernel_tag, split_tags
from reglab.run.logs.tiles import first_layer_png
from reglab.run.opening import open_folder
from reglab.run.report import about_tags, hyperparameters
from reglab.run.run_directory import RunDirectory
from reglab.storage.files import StorageError, refusal


class FolderJournal(Journal):
    """The journal of a run with a folder. Making it restores the state, if one was saved."""

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
        self._told = set(opened.told)
        self._writers: dict[str, RunWriter] = {}
        if self.finished_result is None:  # A complete run may have nothing more to write.
            for split in SPLITS:
                self._writer(split)
        if not self._told >= PAGES:
            self._writer("validation").describe(hyperparameters(config), config.name or directory.path.name)
        self._tell(0, ABOUT_TAGS, about_tags(config))
        if self.finished_result is not None:
            self._tell_result(self.finished_result)

    def write_header(self, facts: Mapping[str, str]) -> None:
        """Writes the description of the run to the Text page, once."""
        self._tell(0, ABOUT_RUN, table(facts))

    def write_reports(self, calls: Calls) -> None:
        """Writes the measured steps to `metrics.jsonl` and the training run's event file."""
        now = time.time()
        for k, step in enumerate(calls.report_steps.tolist()):
            self._write(step, "train", {tag: float(values[k]) for tag, values in calls.reports.items()}, now)

    def write_evaluation(self, evaluation: Evaluation, extra: Mapping[str, float]) -> bool:
        """Writes an evaluation to both files for both splits; starts to save the state if it is the best so far."""
        self._wrote_evaluation = self._is_written(evaluation.epoch)
        if self._wrote_evaluation:
            self._write_both(evaluation, extra)
        is_best = self._note_best(evaluation)
        if is_best:
            assert self.best is not None
            self._directory.keep_whole()
            self._checkpoints.save_best(self.best, background=True)
        return is_best

    def _write_both(self, evaluation: Evaluation, extra: Mapping[str, float]) -> None:
        now, step = time.time(), evaluation.step
        self._write(step, "train", {**split_tags(evaluation.train), **extra}, now)
        self._write(step, "validation", {**split_tags(evaluation.validation), **gap_tags(evaluation.gap),
                                         **evaluation.weights}, now)

    def write_histograms(self, step: int, kernels: Mapping[str, np.ndarray]) -> None:
        """Writes histograms, unless the evaluation of the same weights was not written."""
        if self._wrote_evaluation:
            self._writer("train").histograms(step, {kernel_tag(layer): kernel for layer, kernel in kernels.items()})

    def write_first_layer(self, step: int, kernel: np.ndarray, input_shape: tuple[int, ...]) -> None:
        """Writes the picture to the Images page, once."""
        if FIRST_LAYER not in self._told and (png := first_layer_png(kernel, input_shape)) is not None:
            self._told.add(FIRST_LAYER)
            self._writer("validation").pictures(step, {FIRST_LAYER: png})

    def confirm_best(self) -> dict[str, Any] | None:
        """Returns `best` after its state was read back, and saved again if it was damaged."""
        self._checkpoints.wait()
        if self.best is None or keep_best(self._checkpoints, self.best, self._warn):
            return self.best
        return {**self.best, "lost": True}

    def restore_best(self) -> bool:
        """Restores the best state after it was read back; returns whether it is there and whole."""
        best = self.confirm_best()
        if best is None or "lost" in best:
            return False
        self._checkpoints.restore_best(best["step"])
        return True

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes the result to `result.json` and the Text page, once all metrics and checkpoints are on disk."""
        self._tell_result(result)
        self._flush()
        self._checkpoints.wait()
        self._directory.write_result(result)

    def save(self) -> bool:
        """Puts metrics and events on disk, then starts to write a checkpoint; returns True."""
        self._flush()
        self._checkpoints.save(background=True)
        return True

    def go_back(self) -> int:
        """Restores the newest scheduled checkpoint that is whole; returns its step, or 0 if there is none."""
        return self._checkpoints.go_back(self._warn)

    def wait(self, seconds: float) -> bool:
        """Waits at most `seconds` for the checkpoints being written; returns whether all of them are on disk."""
        return self._checkpoints.wait(seconds)

    def close(self) -> None:
        """Closes all files; when it returns, all checkpoints are on disk."""
        with contextlib.ExitStack() as stack:
            for writer in self._writers.values():
                stack.callback(writer.close)
            stack.callback(self._metrics.close)
            self._checkpoints.wait()

    def _tell_result(self, result: Mapping[str, Any]) -> None:
        self._tell(result["steps"], ABOUT_FOUND, table(summary_lines(result)))

    def _tell(self, step: int, tag: str, text: str) -> None:
        if tag not in self._told:
            self._told.add(tag)
            self._writer("validation").texts(step, {tag: text})

    def _write(self, step: int, split: str, values: Mapping[str, float], wall_time: float) -> None:
        self._metrics.write(step, split, values)
        self._writer(split).scalars(step, values, wall_time)

    def _writer(self, split: str) -> RunWriter:
        """Returns the writer of a split's event file, which is opened when first needed."""
        if split not in self._writers:
            self._writers[split] = _run_writer(self._directory, split)
        return self._writers[split]

    def _flush(self) -> None:
        self._directory.keep_whole()
        self._metrics.flush()
        for writer in self._writers.values():
            writer.flush()


def open_journal(config: Config, directory: RunDirectory | None, state: State, warn: Callable[[str], None],
                 is_due: Callable[[int], bool] = lambda step: False, rhythm: Rhythm | None = None) -> Journal:
    """Returns the journal of a run, or one that writes nothing if there is no folder.

    Args:
      warn: gets a line for each damage found and how it was dealt with.
      is_due: whether a checkpoint is scheduled at a step, that is, made there however the run is interrupted.
      rhythm: if given, points missing from both the metrics and the event files are noticed.

    Raises:
      ConfigError: the folder cannot be written, or holds a run that had saved checkpoints of which none can be read.
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
    """Makes a new event file. Its name ends in the run's id, by which the run recognizes its own files."""
    folder = directory.path / split
    return RunWriter(folder, EventFile(folder, f".{directory.run_file.run}"))
