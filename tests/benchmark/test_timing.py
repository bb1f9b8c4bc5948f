"""Stretches and rounds, by a clock that only the timed work moves."""

from __future__ import annotations

import pytest

from reglab.benchmark import timing
from reglab.benchmark.spread import ratios, spread


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.ran: list[tuple[str, int]] = []

    def work(self, name: str, step: float, call: float = 0.0):
        def run(steps: int) -> None:
            self.ran.append((name, steps))
            self.now += call + step * steps
        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


@pytest.mark.parametrize(("step", "seconds", "steps"), [(1e-3, 1.0, 1000), (0.5, 2.0, 4), (3.0, 1.0, 1)])
def test_a_stretch_has_the_steps_that_fill_the_seconds(clock: Clock, step: float, seconds: float, steps: int) -> None:
    assert timing.stretch(clock.work("a", step), seconds) == steps


def test_what_a_call_costs_does_not_fool_the_stretch(clock: Clock) -> None:
    assert 500 <= timing.stretch(clock.work("a", 1e-3, call=0.1), 1.0) <= 1000


def test_rounds_are_interleaved_and_every_other_one_goes_backwards(clock: Clock) -> None:
    times = timing.interleaved({"a": clock.work("a", 1e-3), "b": clock.work("b", 2e-3)}, 1.0, 3)
    assert [name for name, _ in clock.ran[-6:]] == ["a", "b", "b", "a", "a", "b"]
    assert times == {"a": pytest.approx([1e-3] * 3), "b": pytest.approx([2e-3] * 3)}


def test_spread_and_ratios() -> None:
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert ratios([2.0, 6.0], [1.0, 2.0]) == {"median": 2.5, "min": 2.0, "max": 3.0}
