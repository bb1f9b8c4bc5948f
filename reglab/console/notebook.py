"""The console for a notebook: one text that changes in place, so that nothing is left but how the run ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from reglab.console.base import Console
from reglab.console.format import duration, number, rate, scores_text, summary_lines, summary_title
from reglab.console.stream import Pace, printable
from reglab.console.table import EpochRow

REDRAW_SECONDS: Final = 0.25

Show = Callable[[str], None]
"""Shows a text in the place of the one before."""


class NotebookConsole(Console):
    """Shows a line of progress, then what came out of the run; what is told besides stays above it.

    Args:
      show: called with the whole text, at most every `REDRAW_SECONDS` while steps are taken.
    """

    def __init__(self, show: Show, clock: Callable[[], float] = time.monotonic) -> None:
        self._show, self._clock = show, clock
        self._told: list[str] = []
        self._pace, self._begun, self._last_draw = Pace(clock), clock(), -REDRAW_SECONDS
        self._steps = self._total_steps = 0
        self._epochs: int | None = None
        self._scores = ""

    def start(self, step: int, total_steps: int, epochs: int | None = None) -> None:
        """Shows that training begins; the first call compiles."""
        self._steps, self._total_steps, self._epochs = step, total_steps, epochs
        self._pace, self._begun = Pace(self._clock), self._clock()
        self._draw(f"step {step:,} of {total_steps:,}")

    def progress(self, step: int, epoch: int, losses: Mapping[str, float]) -> None:
        """Shows how far training is."""
        self._steps = step
        self._pace.update(step)
        if self._clock() - self._last_draw < REDRAW_SECONDS:
            return
        of_epochs = "" if self._epochs is None else f" of {self._epochs:,}"
        parts = [f"epoch {epoch:,}{of_epochs}", f"step {step:,} of {self._total_steps:,}"]
        if "data_loss" in losses:
            parts.append(f"data loss {number(losses['data_loss'])}")
        left = self._pace.seconds_left(self._total_steps)
        if left is not None:
            parts += [f"{rate(self._pace.steps_per_second)} steps/s", f"{duration(left)} left"]
        self._draw(", ".join(parts) + self._scores)

    def epoch(self, row: EpochRow) -> None:
        """Remembers the scores of the epoch, which the line of progress ends with."""
        self._scores = f"; after epoch {row.epoch:,}: {scores_text(row.validation or row.train)}"

    def message(self, text: str) -> None:
        """Adds a line that stays."""
        self._told.append(text)
        self._draw("")

    def warning(self, text: str) -> None:
        """Adds a line that stays, marked as a warning."""
        self.message(f"Warning: {text}")

    def finish(self) -> None:
        """Replaces the progress by the number of steps taken."""
        if self._total_steps:
            self._draw(f"{self._steps:,} of {self._total_steps:,} steps in {duration(self._clock() - self._begun)}"
                       f"{self._scores}")
        self._total_steps = 0

    def summary(self, result: Mapping[str, Any]) -> None:
        """Shows how the run ended."""
        lines = summary_lines(result)
        width = max(map(len, lines), default=0)
        self._draw("\n".join([summary_title(result), *(f"{label:<{width}}  {text}" for label, text in lines.items())]))

    def _draw(self, text: str) -> None:
        self._last_draw = self._clock()
        self._show(printable("\n".join(filter(None, [*self._told, text]))))


def notebook_display() -> Show | None:
    """Returns what shows a text in the running cell of a notebook, or None outside one."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    handle: Any = None

    def show(text: str) -> None:
        nonlocal handle
        shown = {"text/plain": text}
        if handle is None:
            handle = display(shown, raw=True, display_id=True)
        else:
            handle.update(shown, raw=True)

    return show
