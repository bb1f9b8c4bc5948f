"""The console for a pipe or a file: whole ASCII lines, nothing that moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

from reglab.console.base import Console
from reglab.console.format import (
    TRAINED_LOSSES,
    duration,
    number,
    percent,
    rate,
    summary_lines,
    summary_title,
    tensorboard_command,
    trained_loss,
)
from reglab.console.stream import Pace, SafeStream, printable
from reglab.console.table import EpochRow, EpochTable

PROGRESS_SECONDS: Final = 10.0


class PlainConsole(Console):
    """Prints each event as a line. A long epoch gets a progress line every `PROGRESS_SECONDS`."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = SafeStream(stream)
        self._clock = clock
        self._pace = Pace(clock)
        self._table: EpochTable | None = None
        self._total_steps = 0
        self._last_line = clock()

    def header(self, facts: Mapping[str, str]) -> None:
        """Prints the facts in two columns."""
        width = max(map(len, facts), default=0)
        for label, text in facts.items():
            self.message(f"{label:<{width}}  {text}")

    def start(self, step: int, total_steps: int, epochs: int | None = None) -> None:
        """Records where the steps begin."""
        self._total_steps = total_steps
        self._pace = Pace(self._clock)
        self._last_line = self._clock()

    def progress(self, step: int, epoch: int, losses: Mapping[str, float]) -> None:
        """Prints the state of training if nothing was printed for `PROGRESS_SECONDS`."""
        self._pace.update(step)
        if self._clock() - self._last_line < PROGRESS_SECONDS:
            return
        parts = [f"step {step}/{self._total_steps}", f"epoch {epoch}"]
        if "data_loss" in losses:
            parts.append(f"data loss {number(losses['data_loss'])}")
        if (trained := trained_loss(losses)) is not None:
            parts.append(f"{TRAINED_LOSSES[trained]} data loss {number(losses[trained])}")
        if "accuracy" in losses:
            parts.append(f"accuracy {percent(losses['accuracy'])}")
        left = self._pace.seconds_left(self._total_steps)
        if left is not None:
            parts += [f"{rate(self._pace.steps_per_second)} steps/s", f"{duration(left)} left"]
        self.message(", ".join(parts))

    def epoch(self, row: EpochRow) -> None:
        """Prints the row, preceded by the table header if it is the first."""
        if self._table is None:
            self._table = EpochTable(row.epochs, penalties=row.penalties, trained_loss=row.trained_loss)
            self.message("\n".join(["", *self._table.header()]))
        self.message("".join(cell.text for cell in self._table.row(row)))

    def message(self, text: str) -> None:
        """Prints and flushes `text`."""
        self._stream.write(printable(text) + "\n")
        self._stream.flush()
        self._last_line = self._clock()

    def warning(self, text: str) -> None:
        """Prints `text`, marked as a warning."""
        self.message(f"Warning: {text}")

    def summary(self, result: Mapping[str, Any]) -> None:
        """Prints the summary, and the command to look at the run."""
        self.message(f"\n{summary_title(result)}")
        self.header(summary_lines(result))
        command = tensorboard_command(result)
        if command:
            self.message(command)
