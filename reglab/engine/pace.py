"""How many steps a call of a program takes: the one place that paces calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final

SECONDS_PER_CALL: Final = 0.5  # Short enough that Ctrl-C is answered and progress moves, long enough to cost nothing.
FIRST_CALL_STEPS: Final = 50


class Pace:
    """Steps a second, the first call apart: it traces and compiles.

    Attributes:
      recent: of the last call; None before the second.
    """

    def __init__(self) -> None:
        self._calls = self._steps = 0
        self._seconds = 0.0
        self._first_rate = 0.0
        self.recent: float | None = None

    @contextlib.contextmanager
    def measure(self, steps: int) -> Iterator[None]:
        """Times a call of `steps` steps."""
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        if self._calls:
            self.recent = steps / seconds
            self._steps += steps
            self._seconds += seconds
        else:
            self._first_rate = steps / seconds
        self._calls += 1

    @property
    def steps_per_second(self) -> float:
        """Over all calls but the first, or of the first if there was only one."""
        return self._steps / self._seconds if self._seconds else self._first_rate

    @property
    def affordable_steps(self) -> int:
        """How many steps take about `SECONDS_PER_CALL`."""
        return max(1, round(self.steps_per_second * SECONDS_PER_CALL)) if self._seconds else FIRST_CALL_STEPS
