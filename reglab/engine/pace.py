"""How many steps one call of a program takes: the only place that paces calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final

SECONDS_PER_CALL: Final = 0.5  # Short enough for Ctrl-C and progress to respond, long enough to add no overhead.
FIRST_CALL_STEPS: Final = 50


class Pace:
    """Measures steps per second, keeping the first call, which traces and compiles, apart.

    Attributes:
      recent: steps per second in the last call; None before the second call.
    """

    def __init__(self) -> None:
        self._calls = self._steps = 0
        self._seconds = 0.0
        self._first_rate = 0.0
        self.recent: float | None = None

    @contextlib.contextmanager
    def measure(self, steps: int) -> Iterator[None]:
        """Times the block, a call of `steps` steps."""
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
        """Steps per second over all calls but the first, or in the first if it was the only one."""
        return self._steps / self._seconds if self._seconds else self._first_rate

    @property
    def affordable_steps(self) -> int:
        """The number of steps that take about `SECONDS_PER_CALL`; `FIRST_CALL_STEPS` until a rate is known."""
        return max(1, round(self.steps_per_second * SECONDS_PER_CALL)) if self._seconds else FIRST_CALL_STEPS
