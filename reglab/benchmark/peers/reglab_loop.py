"""reglab itself: `program.Program` as `fit` uses it, without summaries, or `LaneProgram` as sweeps do."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from reglab.benchmark.peers.job import Job, Weights
from reglab.benchmark.peers.protocol import serve
from reglab.core import optimizers, penalties
from reglab.core.models.mlp import MLP
from reglab.core.parameters import Parameters
from reglab.core.parameters import Weights as AllArrays
from reglab.core.step import Hyperparameters, Step
from reglab.core.terms import Term
from reglab.data import Dataset, Examples
from reglab.engine.lane_program import LaneProgram
from reglab.engine.program import Program


class Trainer:
    """reglab's own compiled loop, without all that a run does around it."""

    packages: tuple[str, ...] = ("tensorflow",)
    settings = "Program.run: a whole stretch a call, compiled by XLA, uint8 data on the device, no summaries"
    tuning_seconds = 0.0
    epsilon_last = False

    def __init__(self, job: Job) -> None:
        model = MLP(job.x.shape[1:], job.hidden, job.classes)
        constant = functools.partial(optimizers.scheduled, schedule="constant", warmup_steps=0, total_steps=1)
        given = {"l1": job.l1, "l2": job.l2}  # What the other libraries have too.
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
        train, validation = Examples(job.x, job.y), Examples(job.x[:1], job.y[:1])  # The latter is not used.
        dataset = Dataset("job", train, validation, job.classes, job.x.shape[1:], job.divisor)

        def make(weights: AllArrays, hyper: Hyperparameters) -> Program:
            return Program(step, weights, hyper, dataset, batch_size=job.batch_size, summary_every=0,
                           lanes=None if job.lanes == 1 else len(hyper.learning_rate))

        self._program = make(weights, hyper) if job.lanes == 1 else LaneProgram(make, weights, hyper)
        self._most_steps = len(job.x) // job.batch_size
        self._layers, self._lanes = model.dense_layers, job.lanes

    def prepare(self, order: npt.NDArray[np.int32]) -> Callable[[], None]:
        """Makes the host's part of the coming steps ready, and gives the function that takes them."""
        # A call stays within one epoch, so a longer stretch takes several calls.
        calls = [order[first:first + self._most_steps] for first in range(0, len(order), self._most_steps)]

        def take_steps() -> None:
            for batches in calls:
                self._program.run(batches.reshape(-1), 0, len(batches))

        return take_steps

    def weights(self) -> Weights:
        """The weights as they are now, [lanes, inputs, units] and [lanes, units] for each layer."""
        parameters = self._program.parameters()
        arrays = [(parameters[name]["kernel"], parameters[name]["bias"]) for name in self._layers]
        return arrays if self._lanes > 1 else [(kernel[None], bias[None]) for kernel, bias in arrays]


if __name__ == "__main__":
    serve(Trainer)
