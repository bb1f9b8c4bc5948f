"""reglab itself: `Training` as `fit` uses it, but without summaries, or `LaneGroups` as sweeps use it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from reglab.benchmark.peers.job import Job, Weights
from reglab.benchmark.peers.protocol import serve
from reglab.config import Config
from reglab.core import optimizers, penalties, schedules
from reglab.core.models.mlp import MLP
from reglab.core.parameters import Parameters
from reglab.core.parameters import Weights as AllArrays
from reglab.core.step import Hyperparameters, Step
from reglab.core.terms import Term
from reglab.data import Dataset, Examples
from reglab.engine.lane_groups import LaneGroups
from reglab.engine.placement import place_lanes
from reglab.engine.program import Program
from reglab.engine.sources.arrays import ArraySource
from reglab.engine.training import Training


class _GivenOrder(ArraySource):
    """A source that takes the examples in the order of the job.

    Attributes:
      order: the order for the next calls.
    """

    order: npt.NDArray[np.int32]

    def padded(self, order: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Pads an order to a fixed length, so that one compiled function serves all of them."""
        return np.pad(order, (0, self.layout.train - len(order)))

    def feed(self, split: str, epoch: int | None, first: int, count: int) -> npt.NDArray[np.int32]:
        """Returns the order that was set last."""
        del split, epoch, first, count
        return self.order


class Trainer:
    """reglab's own compiled loop, without everything that a run does around it."""

    packages: tuple[str, ...] = ("tensorflow",)
    settings = "Training.run: a whole stretch a call, compiled by XLA, uint8 data on the device, no summaries"
    tuning_seconds = 0.0
    epsilon_last = False

    def __init__(self, job: Job) -> None:
        model = MLP(job.x.shape[1:], job.hidden, job.classes)
        constant = functools.partial(schedules.scheduled, schedule="constant", warmup_steps=0, total_steps=1)
        given = {"l1": job.l1, "l2": job.l2}  # The penalties that the other libraries have too.
        terms = tuple(Term(penalties.get(name), model.dense_layers) for name in given)
        step = Step(model, terms, optimizers.make_optimizer("adam"), constant)
        strengths = {name: tf.constant(np.repeat(strength[:, None], len(job.weights), axis=1))
                     for name, strength in given.items()}
        hyper = Hyperparameters(strengths, tf.constant(job.learning_rate))
        parameters: Parameters = {name: {"kernel": tf.constant(kernel), "bias": tf.constant(bias)}
                                  for name, (kernel, bias) in zip(model.dense_layers, job.weights, strict=True)}
        weights = AllArrays(parameters)
        if job.lanes == 1:
            hyper, weights = tf.nest.map_structure(lambda array: array[0], (hyper, weights))
        train, validation = Examples(job.x, job.y), Examples(job.x[:1], job.y[:1])  # Validation is not used.
        dataset = Dataset("job", train, validation, job.classes, job.x.shape[1:], job.divisor)

        self._source = _GivenOrder(dataset, job.batch_size, tf.float32)

        def make(lanes: int | None) -> Program:
            return Program(step, self._source.layout, summary_every=0, lanes=lanes)

        self._run: Callable[[int, int, int], object]
        self._parameters: Callable[[], dict[str, dict[str, npt.NDArray[np.float32]]]]
        if job.lanes == 1:
            training = Training(make(None), weights, hyper, self._source)
            self._run, self._parameters = training.run, training.parameters
        else:
            groups = LaneGroups(make, weights, hyper, self._source, place_lanes(Config()))
            self._run = groups.run
            self._parameters = lambda: groups.joined(Training.parameters, axis=0)
        self._most_steps = len(job.x) // job.batch_size
        self._layers, self._lanes = model.dense_layers, job.lanes

    def prepare(self, order: npt.NDArray[np.int32]) -> Callable[[], None]:
        """Prepares the host's part of the coming steps, and returns the function that takes them."""
        # A call stays within one epoch, so a longer stretch needs several calls.
        calls = [order[first:first + self._most_steps] for first in range(0, len(order), self._most_steps)]
        orders = [self._source.padded(batches.reshape(-1)) for batches in calls]

        def take_steps() -> None:
            for batches, self._source.order in zip(calls, orders, strict=True):
                self._run(0, 0, len(batches))

        return take_steps

    def weights(self) -> Weights:
        """Returns the current weights, [lanes, inputs, units] and [lanes, units] for each layer."""
        parameters = self._parameters()
        arrays = [(parameters[name]["kernel"], parameters[name]["bias"]) for name in self._layers]
        return arrays if self._lanes > 1 else [(kernel[None], bias[None]) for kernel, bias in arrays]


if __name__ == "__main__":
    serve(Trainer)
