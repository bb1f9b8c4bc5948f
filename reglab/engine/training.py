"""One run, or one group of lanes, on its device: a program with the state, the strengths and the data it works on.

The state is held by `tf.Variable`s between calls and by the loop's tensors within one.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from reglab.core.parameters import Weights, map_arrays
from reglab.core.step import Hyperparameters, State, initial_state
from reglab.data import steps_per_epoch
from reglab.engine.compile_cache import name_alike
from reglab.engine.program import Program
from reglab.engine.sources.base import Source


@dataclasses.dataclass(frozen=True)
class Calls:
    """What one call of `Training.run` brings back; lane axis last where there are lanes.

    Attributes:
      data_losses: [steps] data loss of each step's batch, before its update; with `Step.skip_nonfinite` NaN where
        that was left out.
      report_steps: [reports] the global steps that were measured, multiples of `summary_every`.
      reports: tag to [reports] values, measured at those steps before their update.
    """

    data_losses: np.ndarray
    report_steps: np.ndarray
    reports: dict[str, np.ndarray]


class Training:
    """What `Program` leaves open. Trainings of one program may run at the same time, in different threads.

    Args:
      weights: where to start; with a leading lane axis if the program has lanes.
      hyper: the hyper-parameters, each with a leading lane axis if the program has lanes.
      source: the batches; its layout is that of the program.
      device: where state and data are; None for what TensorFlow takes.

    Attributes:
      state: the variables, a `State`, on this process's first device where there are several replicas.
    """

    def __init__(self, program: Program, weights: Weights, hyper: Hyperparameters, source: Source,
                 device: str | None = None) -> None:
        self.program, self.hyper, self.device = program, hyper, device
        with tf.device(device):
            self.state: State = map_arrays(tf.Variable, initial_state(program.step, weights))
        self._compiling: concurrent.futures.Future[Any] | None = None
        self.use_data(source)

    @property
    def steps_taken(self) -> int:
        """The updates so far."""
        return int(self.state["step"])

    @property
    def steps_per_epoch(self) -> int:
        """The steps of an epoch: as many as its batches."""
        return self.program.layout.steps_per_epoch

    def use_data(self, source: Source) -> None:
        """From now on these batches, of the same layout; compiles nothing anew."""
        assert source.layout == self.program.layout, "a program serves sources of one layout"
        self.source = source
        with tf.device(self.device):
            self._resident = self.program.replicas.everywhere(source.resident(self.device))

    def restart(self, weights: Weights, hyper: Hyperparameters) -> None:
        """Begins again with other weights and hyper-parameters of the same shapes; compiles nothing anew."""
        self.hyper = hyper
        map_arrays(lambda variable, value: variable.assign(value), self.state,
                   initial_state(self.program.step, weights))

    def prepare(self) -> None:
        """Traces all functions, and has XLA compile the loop in a thread meanwhile, which the first `run` waits for.

        By calls of no step and no example: they change nothing. XLA does not hold the interpreter, so whatever the
        caller does before `run` costs no time, but it must not change the state. A program of several replicas
        compiles its pieces when they first run, so for it this does nothing.
        """
        name_alike()
        program = self.program
        if not program.replicas.compiles_whole:
            return
        arguments = self._arguments(0, 0, 0)
        with tf.device(self.device):
            program.run.get_concrete_function(*arguments)
        compiler = concurrent.futures.ThreadPoolExecutor(1, "compile")
        self._compiling = compiler.submit(self._call_run, arguments)
        compiler.shutdown(wait=False)
        self._sums("train", 0, 0)
        self._kernel_sums()

    def run(self, epoch: int, first: int, count: int) -> Calls:
        """Takes `count` steps of one epoch, from its step `first` on: `Layout.most_batches` of them at the most."""
        if self._compiling is not None:
            self._compiling.result()
            self._compiling = None
        start = self.steps_taken
        losses, packed = self._call_run(self._arguments(epoch, first, count))
        return Calls(losses.numpy()[first:first + count],
                     *self.program.reports(packed.numpy(), start, count, self.hyper))

    def evaluate(self, split: str) -> dict[str, np.ndarray]:
        """Mean cross-entropy ("data_loss") and accuracy over every example of "train" or "validation", each once."""
        layout, replicas = self.program.layout, self.program.replicas
        examples = layout.sizes[split]
        batches = steps_per_epoch(examples, layout.evaluation_batch_size(replicas.count))
        sums = [self._sums(split, first, min(layout.most_batches, batches - first))
                for first in range(0, batches, layout.most_batches)]
        data_loss, accuracy = (np.sum(parts, axis=0) / examples for parts in zip(*sums, strict=True))
        return {"data_loss": data_loss, "accuracy": accuracy}

    def data_gradient(self, epoch: int, first: int) -> tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]:
        """Data loss and its gradient at step `first` of an epoch, of the state as it is, which stays. Not fast."""
        with tf.device(self.device):
            gradient = self.program.data_gradient(self.state, self._resident,
                                                  self.source.feed("train", epoch, first, 1),
                                                  tf.constant(first, tf.int32), self.hyper)
        data_loss, gradients = map_arrays(lambda array: array.numpy(), gradient)
        return data_loss, gradients

    def measure_weights(self) -> dict[str, np.ndarray]:
        """Penalties, norms and sparsity of the weights as they are now, by TensorBoard tag."""
        sums = map_arrays(lambda sums: sums.numpy(), self._kernel_sums())
        return self.program.reporter(self.hyper).of_weights(sums)

    def weights(self) -> Weights:
        """The weights as they are now, as NumPy arrays."""
        arrays: Weights = map_arrays(lambda variable: variable.numpy(), self._weights)
        return arrays

    def parameters(self) -> dict[str, dict[str, np.ndarray]]:
        """Those that are trained."""
        return self.weights().parameters

    @property
    def _weights(self) -> Weights:
        return Weights(self.state["parameters"], self.state["buffers"])

    def _arguments(self, epoch: int, first: int, count: int) -> tuple[Any, ...]:
        """What the program's `run` takes, from what ours does."""
        return (self.state, self._resident, self.source.feed("train", epoch, first, count),
                tf.constant(first, tf.int32), tf.constant(count, tf.int32), self.hyper)

    def _call_run(self, arguments: tuple[Any, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.device(self.device):  # Of this thread alone.
            losses, packed = self.program.run(*arguments)
        return losses, packed

    def _sums(self, split: str, first: int, count: int) -> tuple[np.ndarray, ...]:
        """Of cross-entropy and right predictions, over some batches of an evaluation."""
        feed = self.source.feed(split, None, first, count)
        with tf.device(self.device):
            sums = self.program.evaluate(self._weights, self._resident, feed, tf.constant(first), tf.constant(count),
                                         tf.constant(self.program.layout.sizes[split]))
        return tuple(total.numpy() for total in sums)

    def _kernel_sums(self) -> tuple[tf.Tensor, ...]:
        with tf.device(self.device):
            sums: tuple[tf.Tensor, ...] = self.program.kernel_sums(self.state["parameters"])
        return sums
