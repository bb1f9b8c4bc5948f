"""The courses of lanes that early stopping ends, each in its own time, and the curves of many of them.

A lane that has ended is frozen in its best state. In curves it goes on with the values of that state, so that a mean
over lanes is one over all of them at every epoch; where a lane really ended, `LaneCurves` tells.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reglab.config import Config
from reglab.core.parameters import Weights, map_arrays
from reglab.lab.lane_blowups import Blowup
from reglab.lab.lane_curves import LaneCurves
from reglab.run.patience import Patience
from reglab.run.plateau import Decay


class Row(NamedTuple):
    """One evaluation of one lane: values by name, of both splits and of the weights."""

    train: Mapping[str, float]
    validation: Mapping[str, float]
    weights: Mapping[str, float]


class Course:
    """What a lane has been through.

    Args:
      config: what all lanes have in common.
      learning_rate: the rate with which this one begins.

    Attributes:
      epochs: the epochs after which it was evaluated.
      rows: these evaluations.
      weights: the weights of its best state or, if it diverged, its last; set by whoever trains the lane.
      blowup: its steps that are not finite, if there are any; set likewise.
    """

    weights: Weights
    blowup: Blowup | None = None

    def __init__(self, config: Config, learning_rate: float) -> None:
        self._last_epoch, self._stops = config.epochs, config.on_nonfinite == "stop"
        self._patience, self._decay, self._learning_rate = Patience.of(config), Decay(config), learning_rate
        self._best: int | None = None
        self._diverged = False
        self.epochs: list[int] = []
        self.rows: list[Row] = []

    def note(self, epoch: int, row: Row) -> bool:
        """Notes an evaluation; returns whether the weights are now those to end with."""
        self.epochs.append(epoch)
        self.rows.append(row)
        data_loss = row.validation["data_loss"]
        self._patience.note(data_loss)
        self._decay.note(data_loss)
        # `fit` would end here, without a result. With skip a single example can make the loss of its split not finite.
        self._diverged = self._stops and not math.isfinite(data_loss + row.train["data_loss"])
        is_best = math.isfinite(data_loss) and (
            self._best is None or data_loss < self.rows[self._best].validation["data_loss"])
        if is_best:
            self._best = len(self.rows) - 1
        return is_best or self._diverged or self._best is None

    @property
    def rate(self) -> float:
        """The learning rate to go on with, before any other schedule, if it falls where the data loss does not."""
        return self._decay.rate(self._learning_rate)

    @property
    def is_over(self) -> bool:
        """Whether the lane has ended: early, after all epochs, or because it diverged."""
        return self._diverged or self._patience.is_over or self.epochs[-1] == self._last_epoch

    @property
    def end(self) -> int:
        """The row of the state with which it ends."""
        return len(self.rows) - 1 if self._best is None or self._diverged else self._best


def curves_of(courses: Sequence[Course], kernel_entries: int) -> LaneCurves:
    """Returns the curves of lanes that have ended, as long as the longest of them."""
    longest = max(courses, key=lambda course: len(course.rows))
    count = len(longest.rows)

    def stacked(part: int) -> dict[str, np.ndarray]:
        return {name: np.array([[_row(course, at)[part][name] for course in courses] for at in range(count)])
                for name in longest.rows[0][part]}

    blowups = tuple(dataclasses.replace(course.blowup, lane=at) for at, course in enumerate(courses)
                    if course.blowup is not None)
    parameters, buffers = map_arrays(lambda *arrays: np.stack(arrays), *(course.weights for course in courses))
    return LaneCurves(np.array(longest.epochs), stacked(0), stacked(1), stacked(2), parameters, blowups, buffers,
                      kernel_entries, np.array([course.end for course in courses]),
                      np.array([course.epochs[-1] for course in courses]))


def _row(course: Course, at: int) -> Row:
    return course.rows[at if at < len(course.rows) else course.end]
