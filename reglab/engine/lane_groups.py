"""Many lanes as trainings of groups that share a program: the lanes of a group run as one, the groups side by side.

The lanes of a group are one compiled program over arrays with a lane axis (`step.over_lanes`). How many there are in a
group, and where a group runs, is for `placement` to decide.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from reglab.core.parameters import Weights, map_arrays
from reglab.core.step import Hyperparameters
from reglab.engine.placement import LanePlacement, lane_bytes
from reglab.engine.program import Program
from reglab.engine.sources.base import Source
from reglab.engine.training import Training

Given = TypeVar("Given")


class LaneGroups:
    """Lanes side by side, without summaries.

    Args:
      make_program: makes the program of a group of so many lanes; it is called once.
      weights, hyper: where to start and with which hyper-parameters; every array has a leading lane axis.
      placement: the devices, and how lanes are grouped on them. Where the lanes do not fill the last group, the last
        lane is trained several times, unseen.

    Attributes:
      trainings: those of the groups, in the order of the lanes.
      group_size: the lanes of a group.
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
        """Has one group traced and compiled, which serves all on its device."""
        for training in {training.device: training for training in reversed(self.trainings)}.values():
            training.prepare()

    def use_data(self, source: Source) -> None:
        """From now on other batches of the same layout, for every group."""
        for training in self.trainings:
            training.use_data(source)

    def restart(self, weights: Weights, hyper: Hyperparameters) -> None:
        """Begins again with other weights and hyper-parameters; every array has a leading lane axis."""
        for training, group in zip(self.trainings, self._split((weights, hyper)), strict=True):
            training.restart(*group)

    def run(self, epoch: int, first: int, count: int) -> np.ndarray:
        """[steps, lanes] data losses: see `Training`."""
        return self.joined(lambda training: training.run(epoch, first, count).data_losses)

    def each(self, function: Callable[[Training], Given]) -> list[Given]:
        """What `function` gives for every group, called in a thread each."""
        return list(self._pool.map(function, self.trainings))

    def joined(self, function: Callable[[Training], Given], axis: int = -1) -> Given:
        """The same, where it is a structure of arrays with a lane axis: one structure of all lanes."""
        def join(*groups: np.ndarray) -> np.ndarray:
            return np.split(np.concatenate(groups, axis), [self._lanes], axis)[0]

        joined: Given = map_arrays(join, *self.each(function))
        return joined

    def _split(self, lanes: Any) -> list[Any]:
        """A structure of arrays over all lanes, as one for each group; the last lane fills what is left over."""
        size = self.group_size
        starts = range(0, self._lanes, size)
        return [map_arrays(lambda array, at=at: tf.gather(array, np.minimum(np.arange(at, at + size),
                                                                            self._lanes - 1)), lanes) for at in starts]
