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
        self._rewinds: dict[int, Rewind] = {}  # By the id of the training.

    @property
    def blowups(self) -> tuple[Blowup, ...]:
        """The blowups of all calls so far, by lane."""
        return tuple(filter(None, map(self.of, range(len(self._names)))))

    def of(self, lane: int) -> Blowup | None:
        """Returns the blowup of a lane so far, if it has one."""
        first = int(self._first_steps[lane])
        return None if first < 0 else Blowup(lane, first, int(self._left_out[lane]))

    def before_call(self, trainings: Sequence[Training]) -> None:
        """To be called before each call of the trainings, the groups of lanes in order."""
        for training in trainings:
            self._rewinds.setdefault(id(training), Rewind(most_bytes=MOST_BYTES // len(trainings))).note(training)

    def after_call(self, trainings: Sequence[Training], data_losses: np.ndarray,
                   lanes: np.ndarray | None = None) -> None:
        """To be called after each call, with the [steps, places] data losses that it returned.

        Args:
          lanes: [places] the lane at each place of the groups, −1 for none; by default the lanes in order.
        """
        lanes = np.arange(data_losses.shape[1]) if lanes is None else lanes
        bad = ~np.isfinite(data_losses) & (lanes >= 0)
        if not bad.any():
            return
        size = _size(trainings[0])
        places = [place for place in np.flatnonzero(bad.any(0)) if self._first_steps[lanes[place]] < 0]
        for place in places:
            start = trainings[place // size].steps_taken - len(data_losses)
            self._first_steps[lanes[place]] = start + bad[:, place].argmax()
        if self._skips:
            np.add.at(self._left_out, lanes[lanes >= 0], bad.sum(0)[lanes >= 0])
        told = int((self._first_steps >= 0).sum()) - len(places)
        places.sort(key=lambda place: self._first_steps[lanes[place]])
        for place in places[:max(MOST_TOLD - told, 0)]:
            self._tell(int(lanes[place]), trainings[place // size], int(place % size))

    def forget(self, training: Training) -> None:
        """To be called when a training goes on with other lanes."""
        self._rewinds.pop(id(training), None)

    def _tell(self, lane: int, training: Training, place: int) -> None:
        step = int(self._first_steps[lane])
        cause = self._rewinds[id(training)].find_cause(training, step, place)
        self._warn(f"lane {lane} ({self._names[lane]}): step {step} is not finite"
                   + (", its update is left out" if self._skips else "") + (f" ({cause})" if cause else "")
                   + "; the other lanes go on")


def _size(training: Training) -> int:
    assert training.program.lanes is not None, "these are trainings of lanes"
    return training.program.lanes


def describe(entries: Sequence[Mapping[str, Any]], lanes: int) -> list[str]:
    """Returns a line for people about the "nonfinite" of a `compare.json` or `sweep.json`, or none if that is empty."""
    if not entries:
        return []
    left_out = sum(entry["left_out"] for entry in entries)
    more = f"; {left_out:,} updates were left out" if left_out else ""
    return [f"{len(entries)} of {lanes} lanes had steps that are not finite, the first at step "
            f"{min(entry['step'] for entry in entries):,}{more}"]
