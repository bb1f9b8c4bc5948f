"""Timing of code in this process: stretches of many steps, interleaved. No TensorFlow here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

Steps = Callable[[int], object]
"""Takes the given number of steps and returns when the device has finished them."""

MOST_STEPS: Final = 10_000_000


def timed(run: Steps, steps: int) -> float:
    """Returns the seconds that the given number of steps takes, in one call."""
    began = time.perf_counter()
    run(steps)
    return time.perf_counter() - began


def stretch(run: Steps, seconds: float) -> int:
    """Returns how many steps take about `seconds`. Afterwards everything that the first step compiles is compiled."""
    run(1)
    steps, taken = 1, timed(run, 1)
    while taken < seconds / 4 and steps < MOST_STEPS:
        steps = min(max(2 * steps, int(steps * seconds / 2 / taken)), MOST_STEPS)
        taken = min(timed(run, steps), timed(run, steps))  # The machine may have been busy during one of them.
    return max(1, round(steps * seconds / taken))


def interleaved(runs: Mapping[str, Steps], seconds: float, repeats: int) -> dict[str, list[float]]:
    """Returns the seconds per step of each run in each round; every stretch takes about `seconds`.

    Every other round goes backwards, so that no run always follows the same one.
    """
    steps = {name: stretch(run, seconds) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(repeats):
        for name in reversed(list(runs)) if k % 2 else list(runs):
            times[name].append(timed(runs[name], steps[name]) / steps[name])
    return times
