"""Timing what runs in one process: stretches of many steps, interleaved. No TensorFlow here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

Steps = Callable[[int], object]
"""Takes so many steps and returns when the device has finished them."""

MOST_STEPS: Final = 10_000_000


def timed(run: Steps, steps: int) -> float:
    """Seconds that so many steps take, in one go."""
    began = time.perf_counter()
    run(steps)
    return time.perf_counter() - began


def stretch(run: Steps, seconds: float) -> int:
    """How many steps take about `seconds`. Whatever compiles at the first step is done afterwards."""
    run(1)
    steps, taken = 1, timed(run, 1)
    while taken < seconds / 4 and steps < MOST_STEPS:
        steps = min(max(2 * steps, int(steps * seconds / 2 / taken)), MOST_STEPS)
        taken = min(timed(run, steps), timed(run, steps))  # One of them may have met with a busy machine.
    return max(1, round(steps * seconds / taken))


def interleaved(runs: Mapping[str, Steps], seconds: float, repeats: int) -> dict[str, list[float]]:
    """Seconds a step of each run, for each round, a stretch of about `seconds` in every round.

    Every other round goes backwards, so that none always follows the same one.
    """
    steps = {name: stretch(run, seconds) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(repeats):
        for name in reversed(list(runs)) if k % 2 else list(runs):
            times[name].append(timed(runs[name], steps[name]) / steps[name])
    return times
