"""What a run writes while it goes on, as the training loop sees it; `folder_journal` writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from reglab.engine.training import Calls
from reglab.run.evaluation import Evaluation


class Journal:
    """Writes nothing: the journal of a run without a folder, and the interface of `FolderJournal`.

    Attributes:
      restored_step: the step the state was restored to; 0 for a new run.
      finished_result: the result of a run that is already complete, else None.
      best: the best evaluation so far: step, epoch, and data_loss and accuracy of the validation split.
      begins_again: whether the folder holds a run that had saved nothing yet, and so begins at step 0.
    """

    restored_step: int = 0
    begins_again: bool = False
    finished_result: dict[str, Any] | None = None
    best: dict[str, Any] | None = None

    def write_header(self, facts: Mapping[str, str]) -> None:
        """What is being run, label to text, for people."""

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
        data_loss = evaluation.validation["data_loss"]
        if not math.isfinite(data_loss) or (self.best is not None and data_loss >= self.best["data_loss"]):
            return False
        self.best = {"step": evaluation.step, "epoch": evaluation.epoch,
                     "data_loss": data_loss, "accuracy": evaluation.validation["accuracy"]}
        return True
