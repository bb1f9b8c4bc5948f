"""The silent console: the interface that the training loop calls, and the console of the Python API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reglab.console.table import EpochRow


class Console:
    """Prints nothing. Subclasses show what they are given; none of them ever stops a run."""

    def header(self, facts: Mapping[str, str]) -> None:
        """Shows what is about to run, as ordered labels and texts."""

    def start(self, step: int, total_steps: int, epochs: int | None = None) -> None:
        """Reports that training starts, or resumes, at `step` of `total_steps`."""

    def progress(self, step: int, epoch: int, losses: Mapping[str, float]) -> None:
        """Reports that `step` steps are done, in `epoch` (from 1); `losses` has `data_loss` or one
        of `TRAINED_LOSSES`, and perhaps more."""

    def epoch(self, row: EpochRow) -> None:
        """Reports the end of an epoch."""

    def message(self, text: str) -> None:
        """Shows a line to the user."""

    def warning(self, text: str) -> None:
        """Shows a line that the user should not miss."""

    def finish(self) -> None:
        """Reports that no more progress will come, for whatever reason. May be called again."""

    def summary(self, result: Mapping[str, Any]) -> None:
        """Shows how the run ended and where to find it; `result` has the contents of `result.json`."""
