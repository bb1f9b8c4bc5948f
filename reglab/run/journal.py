"""The interface through which the training loop writes; `folder_journal` does the writing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from reglab.engine.training import Calls
from reglab.run.evaluation import Evaluation


class Journal:
    """The journal of a run without a folder, which writes nothing, and the interface of `FolderJournal`.

    Attributes:
      restored_step: the step to which the state was restored; 0 for a new run.
      finished_result: the result of a run that is already complete, else None.
      best: the best evaluation so far: step, epoch, and data_loss and accuracy of the validation split.
      begins_again: whether the folder holds a run that had saved nothing yet and so begins again at step 0.
    """

    restored_step: int = 0
    begins_again: bool = False
    finished_result: dict[str, Any] | None = None
    best: dict[str, Any] | None = None

    def write_header(self, facts: Mapping[str, str]) -> None:
        """Writes a description of the run for people; `facts` maps labels to texts."""

    def write_reports(self, calls: Calls) -> None:
        """Writes the measured steps of a call."""

    def write_evaluation(self, evaluation: Evaluation, extra: Mapping[str, float]) -> bool:
        """Writes an evaluation of both splits, with `extra` tags for training; keeps the state if it is the best.

        Returns:
          Whether it is the best so far.
        """
        return self._note_best(evaluation)

    def write_histograms(self, step: int, kernels: Mapping[str, np.ndarray]) -> None:
        """Writes the distribution of every kernel, by layer."""

    def write_first_layer(self, step: int, kernel: np.ndarray, input_shape: tuple[int, ...]) -> None:
        """Writes a picture of the first layer's kernel, if inputs of this shape are images."""

    def confirm_best(self) -> dict[str, Any] | None:
        """Returns `best` after its state was read back, with `"lost": true` if that is damaged beyond repair."""
        return self.best

    def restore_best(self) -> bool:
        """Restores the best state; returns whether that is there and whole."""
        return False

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes the result of a complete run."""

    def save(self) -> bool:
        """Starts a checkpoint once everything written so far is on disk; returns whether there will be one.

        Training and the other workers go on while it is written. `close` waits until it is.
        """
        return False

    def go_back(self) -> int:
        """Restores the newest scheduled checkpoint that is whole; returns its step, or 0 if there is none."""
        return 0

    def wait(self, seconds: float) -> bool:
        """Waits at most `seconds` for what `save` has started; returns whether all of it is on disk."""
        return True

    def close(self) -> None:
        """Closes all files."""

    def _note_best(self, evaluation: Evaluation) -> bool:
        """Notes the evaluation if its data loss, without penalty, is the lowest so far; returns whether it is."""
        data_loss = evaluation.validation["data_loss"]
        if not math.isfinite(data_loss) or (self.best is not None and data_loss >= self.best["data_loss"]):
            return False
        self.best = {"step": evaluation.step, "epoch": evaluation.epoch,
                     "data_loss": data_loss, "accuracy": evaluation.validation["accuracy"]}
        return True
