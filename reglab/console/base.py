"""The quiet console: what the training loop calls, and what the Python API uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reglab.console.table import EpochRow


class Console:
    """Says nothing. Subclasses show what they are told; none of them ever stops a run."""

    def header(self, facts: Mapping[str, str]) -> None:
        """Shows what is about to run: label to text, in order."""

    def start(self, step: int, total_steps: int, epochs: int | None = None) -> None:
        """Training starts, or starts again, at `step` of `total_steps`."""

    def progress(self, step: int, epoch: int, losses: Mapping[str, float]) -> None:
        """`step` steps are done, in `epoch` (from 1); `losses` has `data_loss`, maybe `accuracy` and others."""

    def epoch(self, row: EpochRow) -> None:
        """An epoch is over."""

    def message(self, text: str) -> None:
        """A line for the user."""

    def warning(self, text: str) -> None:
        """A line that the user should not miss."""

    def finish(self) -> None:
        """No more progress will come, for whatever reason. May be called again."""

    def summary(self, result: Mapping[str, Any]) -> None:
        """Shows how the run ended and where to find it (the contents of `result.json`)."""
