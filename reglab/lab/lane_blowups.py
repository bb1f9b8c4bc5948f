"""Finds the lanes whose steps are not finite, from which step on, and why. The other lanes go on regardless."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from reglab.engine.training import Training
from reglab.run.divergence import MOST_BYTES, Rewind

MOST_TOLD: Final = 3
"""How many lanes get a warning each; the others are only counted."""


@dataclasses.dataclass(frozen=True)
class Blowup:
    """A lane with steps that are not finite.

    Attributes:
      lane: the place of the lane.
      step: the first step whose data loss is not finite or, with `--on_nonfinite=skip`, whose update was left out.
      left_out: how many updates were left out.
    """

    lane: int
    step: int
    left_out: int


class LaneWatch:
    """Examines the outcome of every call.

    Args:
      names: what to call each lane.
      skips: whether updates that are not finite are left out.
      warn: gets a line about each of the first such lanes.
    """

    def __init__(self, names: Sequence[str], skips: bool, warn: Callable[[str], None]) -> None:
        self._names, self._skips, self._warn = names, skips, warn
        self._first_steps = np.full(len(names), -1, np.int64)
        self._left_out = np.zeros(len(names), np.int64)
        self._rewinds: list[Rewind] = []

    @property
    def blowups(self) -> tuple[Blowup, ...]:
        """The blowups of all calls so far, by lane."""
        return tuple(Blowup(int(lane), int(self._first_steps[lane]), int(self._left_out[lane]))
                     for lane in np.flatnonzero(self._first_steps >= 0))

    def before_call(self, trainings: Sequence[Training]) -> None:
        """To be called before each call of the trainings, the groups of lanes in order."""
        self._rewinds = self._rewinds or [Rewind(most_bytes=MOST_BYTES // len(trainings)) for _ in trainings]
        for rewind, training in zip(self._rewinds, trainings, strict=True):
            rewind.note(training)

    def after_call(self, trainings: Sequence[Training], data_losses: np.ndarray) -> None:
        """To be called after each call, with the [steps, lanes] data losses that it returned."""
        bad = ~np.isfinite(data_losses)
        if not bad.any():
            return
        start = trainings[0].steps_taken - len(data_losses)
        new = np.flatnonzero(bad.any(0) & (self._first_steps < 0))
        self._first_steps[new] = start + bad[:, new].argmax(0)
        if self._skips:
            self._left_out += bad.sum(0)
        told = int((self._first_steps >= 0).sum()) - len(new)
        for lane in new[np.argsort(self._first_steps[new], kind="stable")][:max(MOST_TOLD - told, 0)]:
            self._tell(int(lane), trainings)

    def _tell(self, lane: int, trainings: Sequence[Training]) -> None:
        size = trainings[0].program.lanes
        assert size is not None, "these are trainings of lanes"
        step = int(self._first_steps[lane])
        cause = self._rewinds[lane // size].find_cause(trainings[lane // size], step, lane % size)
        self._warn(f"lane {lane} ({self._names[lane]}): step {step} is not finite"
                   + (", its update is left out" if self._skips else "") + (f" ({cause})" if cause else "")
                   + "; the other lanes go on")


def describe(entries: Sequence[Mapping[str, Any]], lanes: int) -> list[str]:
    """Returns a line for people about the "nonfinite" of a `compare.json` or `sweep.json`, or none if that is empty."""
    if not entries:
        return []
    left_out = sum(entry["left_out"] for entry in entries)
    more = f"; {left_out:,} updates were left out" if left_out else ""
    return [f"{len(entries)} of {lanes} lanes had steps that are not finite, the first at step "
            f"{min(entry['step'] for entry in entries):,}{more}"]
