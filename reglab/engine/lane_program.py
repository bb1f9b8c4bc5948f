"""Many lanes as one program: groups of lanes that share its compilation, and as many of them at a time as cores.

The lanes of a group run as one, in arrays with a lane axis (`step.over_lanes`). On a GPU all lanes are one group. On a
CPU every core takes a group of its own, since cores that work on different lanes never wait for each other, while
those that share the small products of one step mostly do; and a group is small enough that the states at work stay in
the cache. MNIST, batch 32, two cores, time a lane over that of a run alone: 0.66-0.80 for 16 lanes in groups of
2, 0.79-1.04 in groups of 8, 1.16 as one group.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import tensorflow as tf

from reglab.core.parameters import Weights, map_arrays
from reglab.core.step import Hyperparameters
from reglab.data import Dataset
from reglab.engine.environment import usable_cores
from reglab.engine.program import Calls, Program

CACHE_BYTES: Final = 8 * 2**20
"""What the states of all groups at work may take on a CPU, parameters, slots and gradients."""


class LaneProgram:
    """Lanes side by side: what `Program` is for one run, without summaries, on one device.

    Args:
      make_program: makes the program of one group from its weights and hyper-parameters. It is called once: the
        other groups are siblings.
      weights, hyper: where to start and with which hyper-parameters; every array has a leading lane axis.
      group_size: lanes a group at the most; chosen by cores and cache if not given. Where the lanes do not fill the
        last group, the last lane is trained several times, unseen.

    Attributes:
      lanes: how many there are.
      steps_per_epoch: see `Program`.
    """

    def __init__(self, make_program: Callable[[Weights, Hyperparameters], Program], weights: Weights,
                 hyper: Hyperparameters, *, group_size: int | None = None) -> None:
        self.lanes = int(hyper.learning_rate.shape[0])
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        at_work = 1 if on_gpu else usable_cores()
        largest = group_size or (self.lanes if on_gpu else _cached_lanes(weights, self.lanes, at_work))
        rounds = -(-self.lanes // (at_work * largest))
        self._group_size = min(largest, -(-self.lanes // (at_work * rounds)))
        first, *others = self._split((weights, hyper))
        program = make_program(*first)
        self.programs = [program, *(program.sibling(*other) for other in others)]
        self.steps_per_epoch = program.steps_per_epoch
        self._pool = concurrent.futures.ThreadPoolExecutor(at_work)

    def prepare(self) -> None:
        """See `Program`: one group's functions are those of all."""
        self.programs[0].prepare()

    def use_data(self, dataset: Dataset) -> None:
        """See `Program`."""
        first, *others = self.programs
        first.use_data(dataset)
        for other in others:
            other.use_data_of(first)

    def restart(self, weights: Weights, hyper: Hyperparameters) -> None:
        """See `Program`."""
        for program, group in zip(self.programs, self._split((weights, hyper)), strict=True):
            program.restart(*group)

    def run(self, order: np.ndarray, first: int, count: int) -> Calls:
        """See `Program`; nothing is reported but data losses, [steps, lanes]."""
        calls = self._each("run", order, first, count)
        return dataclasses.replace(calls[0], data_losses=self._joined(*(call.data_losses for call in calls)))

    def evaluate(self, split: str) -> dict[str, np.ndarray]:
        """See `Program`: name to [lanes]."""
        return map_arrays(self._joined, *self._each("evaluate", split))

    def inspect(self) -> dict[str, np.ndarray]:
        """See `Program`: tag to [lanes]."""
        return map_arrays(self._joined, *self._each("inspect"))

    def weights(self) -> Weights:
        """The weights as they are now, as NumPy arrays with a leading lane axis."""
        joined: Weights = map_arrays(lambda *groups: np.concatenate(groups)[:self.lanes], *self._each("weights"))
        return joined

    def parameters(self) -> dict[str, dict[str, np.ndarray]]:
        """Those that are trained."""
        return self.weights().parameters

    def _each(self, method: str, *arguments: Any) -> list[Any]:
        """What the method of every group gives, called in a thread each; TensorFlow compiles it once for all."""
        calls = [self._pool.submit(getattr(program, method), *arguments) for program in self.programs]
        return [call.result() for call in calls]

    def _split(self, lanes: Any) -> list[Any]:
        """A structure of arrays over all lanes, as one for each group; the last lane fills what is left over."""
        size = self._group_size
        starts = range(0, self.lanes, size)
        return [map_arrays(lambda array, at=at: tf.gather(array, np.minimum(np.arange(at, at + size), self.lanes - 1)),
                           lanes) for at in starts]

    def _joined(self, *groups: np.ndarray) -> np.ndarray:
        """The lanes of all groups along the last axis."""
        return np.concatenate(groups, axis=-1)[..., :self.lanes]


def _cached_lanes(weights: Weights, lanes: int, at_work: int) -> int:
    """The lanes of a group whose states, one group at work on each core, stay in the cache; at least 1."""
    arrays = tf.nest.flatten(weights)
    state = 4 * sum(array.shape.num_elements() * array.dtype.size for array in arrays) // lanes  # As Adam has it.
    return max(1, CACHE_BYTES // (at_work * state))
