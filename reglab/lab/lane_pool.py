"""Trains any number of lanes in a fixed number of places: a lane that ends makes room for the next.

Lanes that start together are a cohort. They are at the same epoch, so they share their batches, and only they share a
group. Whenever lanes of a cohort have ended, the others close ranks in as few groups as hold them, and a group that is
free takes the next lanes that wait, at their first epoch. So no lane needs an order of the data of its own, and none
depends on the others: it is the run that `fit` makes of its configuration.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from reglab.config import Config
from reglab.core.parameters import Weights, map_arrays
from reglab.core.step import Hyperparameters
from reglab.engine.lane_groups import LaneGroups, gather_lanes
from reglab.engine.pace import Pace
from reglab.engine.sources.base import Source
from reglab.engine.training import Training
from reglab.lab.courses import Course, Row
from reglab.lab.lane_blowups import LaneWatch
from reglab.run.logs.rhythm import is_evaluated
from reglab.run.plateau import PLATEAU

NONE: Final = -1
"""Stands for a place without a lane that still trains."""


@dataclasses.dataclass
class _Group:
    """A group and the number of the lane at each of its places."""

    training: Training
    lanes: list[int]

    @property
    def there(self) -> list[int]:
        """The places with lanes."""
        return [place for place, lane in enumerate(self.lanes) if lane != NONE]


@dataclasses.dataclass
class _Cohort:
    """Lanes that started together, on the data of a key, and the epochs that they have done."""

    key: Hashable
    groups: list[_Group]
    epoch: int = 0

    @property
    def count(self) -> int:
        """The number of its lanes that still train."""
        return sum(len(group.there) for group in self.groups)

    def close_ranks(self, size: int, moved: Callable[[Training], object]) -> list[Training]:
        """Moves the lanes to as few groups as hold them; returns the groups that are free now."""
        groups = sorted(self.groups, key=lambda group: -len(group.there))
        needed = -(-self.count // size)
        self.groups, left = groups[:needed], groups[needed:]
        moving = [(group, place) for group in left for place in group.there]
        for group in self.groups:
            came = {place: moving.pop() for place in range(size) if group.lanes[place] == NONE and moving}
            if came:
                places = [came.get(place, (group, place)) for place in range(size)]
                state = gather_lanes([(from_group.training, place) for from_group, place in places])
                group.lanes = [from_group.lanes[place] for from_group, place in places]
                group.training.go_on_from(*state)
                moved(group.training)
        return [group.training for group in left]


class LanePool:
    """The places, and what is trained there.

    Args:
      config: what all lanes have in common.
      groups: the places.
      start: makes the weights and hyper-parameters of lanes, given by their numbers, before their first step.
      source_of: makes the source of a key; the sources of all keys have the same layout.

    Attributes:
      place_steps: the steps taken so far, each counted once for each place, whether a lane was there or not.
    """

    def __init__(self, config: Config, groups: LaneGroups, start: Callable[[Sequence[int]],
                 tuple[Weights, Hyperparameters]], source_of: Callable[[Any], Source]) -> None:
        self._config, self._groups, self._start_lanes, self._source_of = config, groups, start, source_of
        self._pace, self._sources = Pace(), dict[Hashable, Source]()
        self._courses: dict[int, Course] = {}
        self._ended = 0
        self.place_steps = 0

    def train(self, keys: Sequence[Hashable], courses: dict[int, Course], watch: LaneWatch,
              on_step: Callable[[int], object]) -> Iterator[tuple[int, Course]]:
        """Trains lanes and yields each when it has ended: its number, which is its place in `keys`, and its course.

        Args:
          keys: the key of the data of each lane; lanes start in this order.
          courses: the course of each lane, by number, before its first step; they are taken out as lanes end.
          on_step: called about once a second or more often with the steps of all lanes so far; one that has ended
            counts with all the steps it could have taken. An exception from it ends the training.
        """
        waiting, free = collections.deque(enumerate(keys)), list(self._groups.trainings)
        self._courses = courses
        cohorts: list[_Cohort] = []
        while waiting or cohorts:
            while waiting and free:
                cohorts.append(self._start(waiting, free, cohorts, watch))
            self._run_epoch(cohorts, watch, on_step)
            for cohort in cohorts:
                if is_evaluated(self._config, cohort.epoch):
                    yield from self._evaluate(cohort, watch)
                    free += cohort.close_ranks(self._groups.group_size, watch.forget)
            cohorts = [cohort for cohort in cohorts if cohort.groups]

    def _start(self, waiting: collections.deque[tuple[int, Hashable]], free: list[Training],
               cohorts: Sequence[_Cohort], watch: LaneWatch) -> _Cohort:
        """Starts as many of the waiting lanes as share a key and have room."""
        size, key, numbers = self._groups.group_size, waiting[0][1], list[int]()
        while waiting and waiting[0][1] == key and len(numbers) < size * len(free):
            numbers.append(waiting.popleft()[0])
        in_use = {key, *(cohort.key for cohort in cohorts)}
        self._sources = {used: self._sources.get(used) or self._source_of(used) for used in in_use}
        source = copy.copy(self._sources[key])  # It shares what is on the device, but is at an epoch of its own.
        groups = []
        for at in range(0, len(numbers), size):
            part = numbers[at:at + size]
            training, missing = free.pop(0), size - len(part)
            training.restart(*self._start_lanes([*part, *part[-1:] * missing]))
            training.use_data(source)
            watch.forget(training)
            groups.append(_Group(training, [*part, *[NONE] * missing]))
        return _Cohort(key, groups)

    def _run_epoch(self, cohorts: Sequence[_Cohort], watch: LaneWatch, on_step: Callable[[int], object]) -> None:
        """Takes the steps of one epoch in all groups side by side, each group at the epoch of its cohort."""
        trainings = [group.training for cohort in cohorts for group in cohort.groups]
        epochs = [cohort.epoch for cohort in cohorts for _ in cohort.groups]
        lanes = np.array([lane for cohort in cohorts for group in cohort.groups for lane in group.lanes])
        steps, first = trainings[0].steps_per_epoch, 0
        before = self._ended * self._config.epochs + sum(cohort.count * cohort.epoch for cohort in cohorts)
        while first < steps:
            count = min(self._pace.affordable_steps, steps - first)
            watch.before_call(trainings)
            with self._pace.measure(count):
                losses = self._groups.side_by_side(
                    lambda training, epoch, first=first, count=count: training.run(epoch, first, count).data_losses,
                    trainings, epochs)
            watch.after_call(trainings, np.concatenate(losses, axis=1), lanes)
            first += count
            self.place_steps += count * len(lanes)
            on_step(before * steps + first * sum(cohort.count for cohort in cohorts))
        for cohort in cohorts:
            cohort.epoch += 1

    def _evaluate(self, cohort: _Cohort, watch: LaneWatch) -> Iterator[tuple[int, Course]]:
        """Evaluates every lane of a cohort, and yields those that have ended; their places are free then."""
        evaluated = self._groups.side_by_side(evaluate_lanes, [group.training for group in cohort.groups])
        for group, parts in zip(cohort.groups, evaluated, strict=True):
            weights: Weights | None = None
            for place in group.there:
                lane = group.lanes[place]
                course = self._courses[lane]
                row = Row(*({name: float(values[place]) for name, values in part.items()} for part in parts))
                if course.note(cohort.epoch, row):
                    weights = weights or group.training.weights()
                    course.weights = map_arrays(lambda array, place=place: array[place].copy(), weights)
                if course.is_over:
                    group.lanes[place] = NONE
                    self._ended += 1
                    course.blowup = watch.of(lane)
                    yield lane, self._courses.pop(lane)
            if self._config.schedule == PLATEAU:
                self._lower_rates(group)

    def _lower_rates(self, group: _Group) -> None:
        """Gives the lanes of a group that go on the learning rates that their last evaluations left."""
        rates = np.array(group.training.hyper.learning_rate)
        for place in group.there:
            rates[place] = self._courses[group.lanes[place]].rate
        group.training.use_learning_rate(rates)


def evaluate_lanes(training: Training) -> tuple[dict[str, np.ndarray], ...]:
    """Evaluates both splits, and measures the weights."""
    return training.evaluate("train"), training.evaluate("validation"), training.measure_weights()
