"""The console for a terminal: a live bar at the bottom, with the epoch table growing above it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO, cast

import rich.console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

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
from reglab.console.table import Cell, EpochRow, EpochTable

REDRAW_SECONDS: Final = 0.1


class TerminalConsole(Console):
    """Draws with rich, in the calling thread only: a thread that redraws would take time from training.

    The few colors are readable on light and dark: green for the lowest validation loss so far, red for non-finite.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        # rich uses only what SafeStream has; given a plain stream, rich would end the process on a broken pipe.
        self._console = rich.console.Console(file=cast(TextIO, SafeStream(stream)), force_terminal=True, markup=False,
                                             highlight=False, emoji=False)
        self._clock = clock
        self._pace = Pace(clock)
        self._table: EpochTable | None = None
        self._bar: Progress | None = None
        self._bar_width = 0
        self._task = TaskID(0)
        self._total_steps = 0
        self._epochs: int | None = None
        self._best = math.inf
        self._last_draw = -math.inf

    def header(self, facts: Mapping[str, str]) -> None:
        """Prints the facts in two columns; long texts continue on the next line of their column."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for label, text in facts.items():
            grid.add_row(Text(printable(label)), Text(printable(text)))
        self._console.print(grid)

    def start(self, step: int, total_steps: int, epochs: int | None = None) -> None:
        """Shows the progress bar."""
        self.finish()
        self._total_steps, self._epochs = total_steps, epochs
        self._pace = Pace(self._clock)
        self._bar_width = min(40, max(4, self._console.width - 2 * len(str(total_steps)) - 66))  # 66: the texts.
        # What other code prints goes above the bar, except output that goes elsewhere, such as JSON into a pipe.
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=self._bar_width, style="bright_black", complete_style="cyan", finished_style="cyan"),
            TextColumn("{task.completed}/{task.total}{task.fields[state]}", markup=False),
            console=self._console, auto_refresh=False, transient=True,
            redirect_stdout=_watched(sys.stdout), redirect_stderr=_watched(sys.stderr))
        self._task = self._bar.add_task("starting", total=total_steps, completed=step, state="")
        self._bar.start()
        self._bar.refresh()

    def progress(self, step: int, epoch: int, losses: Mapping[str, float]) -> None:
        """Updates the bar, at most ten times a second."""
        self._pace.update(step)
        if self._bar is None or self._clock() - self._last_draw < REDRAW_SECONDS:
            return
        self._last_draw = self._clock()
        description = f"epoch {epoch}" if self._epochs is None else f"epoch {epoch}/{self._epochs}"
        fixed = f"{description} {'-' * self._bar_width} {self._total_steps}/{self._total_steps}"
        # The echo of Ctrl-C takes two columns: if it made the line wrap, the bar could not be erased.
        room = self._console.width - 3 - len(fixed)
        self._bar.update(self._task, completed=step, description=description, state=self._state(losses, room))
        self._bar.refresh()

    def _state(self, losses: Mapping[str, float], room: int) -> str:
        parts = []
        left = self._pace.seconds_left(self._total_steps)
        if left is not None:
            parts += [f"{rate(self._pace.steps_per_second)} steps/s", f"{duration(left)} left"]
        if "data_loss" in losses:
            parts.append(f"loss {number(losses['data_loss'], 7)}")
        if (trained := trained_loss(losses)) is not None:
            parts.append(f"{TRAINED_LOSSES[trained]} {number(losses[trained], 7)}")
        if "accuracy" in losses:
            parts.append(percent(losses["accuracy"], 6))
        while parts and sum(len(part) + 2 for part in parts) > room:
            parts.pop()
        return "".join(f"  {part}" for part in parts)

    def epoch(self, row: EpochRow) -> None:
        """Prints the row above the bar, preceded by the table header if it is the first."""
        self._epochs = row.epochs
        if self._bar is not None:
            self._bar.update(self._task, completed=row.step)
        if self._table is None:
            self._table = EpochTable(row.epochs, self._console.width, row.penalties, row.trained_loss)
            self._line(Text("\n".join(["", *self._table.header()]), style="bold"))
        validation = (row.validation or {}).get("data_loss", math.inf)
        improved = validation < self._best
        self._best = min(validation, self._best) if not math.isnan(validation) else self._best
        self._line(Text.assemble(*((cell.text, _style(cell, improved)) for cell in self._table.row(row))))

    def _line(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ignore", crop=True)

    def message(self, text: str) -> None:
        """Prints `text`; the terminal wraps it, so that a command or path can be copied whole."""
        self._console.print(Text(printable(text)), soft_wrap=True)

    def warning(self, text: str) -> None:
        """Prints `text`, marked as a warning."""
        self._console.print(Text.assemble(("Warning: ", "bold magenta"), printable(text)), soft_wrap=True)

    def finish(self) -> None:
        """Removes the bar and restores the cursor."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def summary(self, result: Mapping[str, Any]) -> None:
        """Prints the summary, and the command to look at the run."""
        self.finish()
        self._console.print(Text(f"\n{summary_title(result)}", style="bold"))
        self.header(summary_lines(result))
        command = tensorboard_command(result)
        if command:
            self.message(command)


def _style(cell: Cell, improved: bool) -> str:
    if cell.text.strip() in ("nan", "inf", "-inf"):
        return "bold red"
    return "green" if improved and cell.name == "validation.data_loss" else ""


def _watched(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
