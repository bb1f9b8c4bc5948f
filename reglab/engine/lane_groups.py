"""Many lanes, in groups that share one program: the lanes of a group run as one training, the groups side by side.

A group is one compiled program over arrays with a lane axis (`step.over_lanes`). How many lanes a group has, and where
it runs, is decided by `placement`.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import tensorflow as tf

from reglab.core.parameters import Weights, map_arrays
from reglab.core.step import Hyperparameters, State
from reglab.engine.placement import LanePlacement, lane_bytes
from reglab.engine.program import Program
from reglab.engine.sources.base import Source
from reglab.engine.training import Training

Given = TypeVar("Given")


class LaneGroups:
    """Lanes trained side by side, without summaries.

    Args:
      make_program: makes the program of a group, given its number of lanes; called once.
      weights, hyper: initial weights and hyper-parameters; every array has a leading lane axis.
      source: the batches, the same for all lanes.
      placement: the devices, and how lanes are grouped on them. If the lanes do not fill the last group, copies of the
        last lane fill it, and their results are dropped.

    Attributes:
      trainings: one for each group, in the order of the lanes.
      group_size: the number of lanes in a group.
    """

    def __init__(self, make_program: Callable[[int], Program], weights: Weights, hyper: Hyperparameters,
                 source: Source, placement: LanePlacement) -> None:
        self._lanes = int(hyper.learning_rate.shape[0])
        self.group_size = placement.group_size(self._lanes, lane_bytes(weights) // self._lanes)
        program = make_program(self.group_size)
        self.trainings = [Training(program, of_group, its_hyper, source, placement.device_of(at))
                          for at, (of_group, its_hyper) in enumerate(self._split((weights, hyper)))]
        self._pool = concurrent.futures.ThreadPoolExecutor(placement.at_work)

    def prepare(self) -> None:
        """Traces and compiles one group on each device; the others on that device reuse it."""
        for training in {training.device: training for training in reversed(self.trainings)}.values():
            training.prepare()

    def use_data(self, source: Source) -> None:
        """Switches every group to other batches of the same layout."""
        for training in self.trainings:
            training.use_data(source)

    def restart(self, weights: Weights, hyper: Hyperparameters) -> None:
        """Starts again from other weights and hyper-parameters; every array has a leading lane axis."""
        for training, group in zip(self.trainings, self._split((weights, hyper)), strict=True):
            training.restart(*group)

    def use_learning_rates(self, rates: np.ndarray) -> None:
        """Changes the learning rates before their schedule: [lanes]."""
        for training, of_group in zip(self.trainings, self._split(rates), strict=True):
            training.use_learning_rate(of_group)

    def run(self, epoch: int, first: int, count: int) -> np.ndarray:
        """Runs the steps in every group; returns [steps, lanes] data losses. See `Training.run`."""
        return self.joined(lambda training: training.run(epoch, first, count).data_losses)

    def each(self, function: Callable[[Training], Given]) -> list[Given]:
        """Calls `function` for every group, each in its own thread; returns the results in order."""
        return self.side_by_side(function, self.trainings)

    def side_by_side(self, function: Callable[..., Given], *arguments: Iterable[Any]) -> list[Given]:
        """Calls `function` as `map` does, at the same time for as many groups as run at the same time."""
        return list(self._pool.map(function, *arguments))

    def joined(self, function: Callable[[Training], Given], axis: int = -1) -> Given:
        """Like `each`, for a `function` that returns arrays with a lane axis: joins them along it, for all lanes."""
        def join(*groups: np.ndarray) -> np.ndarray:
            return np.split(np.concatenate(groups, axis), [self._lanes], axis)[0]

        joined: Given = map_arrays(join, *self.each(function))
        return joined

    def _split(self, lanes: Any) -> list[Any]:
        """Splits arrays over all lanes into one structure for each group; the last lane fills up the last group."""
        size = self.group_size
        starts = range(0, self._lanes, size)
        return [map_arrays(lambda array, at=at: tf.gather(array, np.minimum(np.arange(at, at + size),
                                                                            self._lanes - 1)), lanes) for at in starts]


def gather_lanes(places: Sequence[tuple[Training, int]]) -> tuple[State, Hyperparameters]:
    """Returns the state and hyper-parameters of a group of the lanes at some places, each of them (group, place in it).

    All groups have taken equally many steps.
    """
    def picked(*arrays: Any) -> tf.Tensor:
        return tf.stack([array[place] for array, (_, place) in zip(arrays, places, strict=True)])

    states = [{part: arrays for part, arrays in training.state.items() if part != "step"} for training, _ in places]
    state = {**map_arrays(picked, *states), "step": places[0][0].state["step"].read_value()}
    return cast(State, state), map_arrays(picked, *(training.hyper for training, _ in places))
