"""One run, or one group of lanes, on its device: a program together with the state, strengths and data it works on.

The state is held in `tf.Variable`s between calls, and in tensors of the loop during a call.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from reglab.core.averaging import averaged
from reglab.core.losses import WEIGHTED
from reglab.core.parameters import Weights, map_arrays
from reglab.core.step import Hyperparameters, State, initial_state
from reglab.data import steps_per_epoch
from reglab.engine.compile_cache import name_alike
from reglab.engine.program import Program
from reglab.engine.sources.base import Source


@dataclasses.dataclass(frozen=True)
class Calls:
    """The results of one call of `Training.run`; if there are lanes, they are the last axis.

    Attributes:
      data_losses: [steps], the data loss of each step's batch before its update; NaN if the update was skipped because
        of `Step.skip_nonfinite`.
      report_steps: [reports] int64, the global steps that were measured, multiples of `summary_every`.
      reports: maps each tag to its [reports] values, measured at those steps before their update.
    """

    data_losses: np.ndarray
    report_steps: np.ndarray
    reports: dict[str, np.ndarray]


class Training:
    """State, strengths and data for a `Program`. Several trainings of one program may run at once in different threads.

    Args:
      program: the compiled functions.
      weights: the initial weights; with a leading lane axis if the program has lanes.
      hyper: the hyper-parameters, each with a leading lane axis if the program has lanes.
      source: the batches; its layout must be that of the program.
      device: where state and data are; None for TensorFlow's default.

    Attributes:
      state: the variables, a `State`; with several replicas, on this process's first device.
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
        """The number of updates so far."""
        return int(self.state["step"])

    @property
    def steps_per_epoch(self) -> int:
        """The number of steps in an epoch: one for each batch."""
        return self.program.layout.steps_per_epoch

    def use_data(self, source: Source) -> None:
        """Switches to other batches of the same layout, without recompiling."""
        assert source.layout == self.program.layout, "a program serves sources of one layout"
        self.source = source
        with tf.device(self.device):
            self._resident = self.program.replicas.everywhere(source.resident(self.device))

    def use_learning_rate(self, rates: Any) -> None:
        """Changes the learning rate before its schedule: a number or, with lanes, [lanes]."""
        with tf.device(self.device):
            self.hyper = self.hyper._replace(learning_rate=tf.constant(rates, self.hyper.learning_rate.dtype))

    def restart(self, weights: Weights, hyper: Hyperparameters) -> None:
        """Starts again from other weights and hyper-parameters of the same shapes, without recompiling."""
        self.go_on_from(initial_state(self.program.step, weights), hyper)

    def go_on_from(self, state: State, hyper: Hyperparameters) -> None:
        """Goes on from another state, with other hyper-parameters of the same shapes, without recompiling."""
        self.hyper = hyper
        map_arrays(lambda variable, value: variable.assign(value), self.state, state)

    def prepare(self) -> None:
        """Traces all functions while XLA compiles the loop in a thread, which the first `run` waits for.

        This is done with calls of no steps and no examples, which change nothing. XLA does not hold the interpreter
        lock, so whatever the caller does before `run` costs no extra time; but it must not change the state. With
        several replicas, pieces are compiled when they first run, and only `name_alike` is called.
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
        """Takes `count` steps, at most `Layout.most_batches`, of one epoch, starting at its step `first`."""
        if self._compiling is not None:
            self._compiling.result()
            self._compiling = None
        start = self.steps_taken
        losses, packed = self._call_run(self._arguments(epoch, first, count))
        return Calls(losses.numpy()[first:first + count],
                     *self.program.reports(packed.numpy(), start, count, self.hyper))

    def evaluate(self, split: str) -> dict[str, np.ndarray]:
        """Returns mean cross-entropy ("data_loss"), "accuracy" and, if another loss is trained on, that by its name.

        Each example of the split counts exactly once; in a "weighted_data_loss" with its weight. Of none all is NaN.

        Args:
          split: "train" or "validation".
        """
        layout, replicas = self.program.layout, self.program.replicas
        examples = layout.sizes[split]
        if not examples:
            return dict.fromkeys(self.program.step.evaluated, np.array(np.nan))
        batches = steps_per_epoch(examples, layout.evaluation_batch_size(replicas.count))
        sums = [self._sums(split, first, min(layout.most_batches, batches - first))
                for first in range(0, batches, layout.most_batches)]
        return {name: np.sum(parts, axis=0) / (self.source.loss_weight(split) if name == WEIGHTED else examples)
                for name, parts in zip(self.program.step.evaluated, zip(*sums, strict=True), strict=True)}

    def data_gradient(self, epoch: int, first: int) -> tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]:
        """Returns the data loss and its gradient at step `first` of an epoch, leaving the state unchanged. Slow."""
        with tf.device(self.device):
            gradient = self.program.data_gradient(self.state, self._resident,
                                                  self.source.feed("train", epoch, first, 1),
                                                  tf.constant(first, tf.int32), self.hyper)
        data_loss, gradients = map_arrays(lambda array: array.numpy(), gradient)
        return data_loss, gradients

    def measure_weights(self) -> dict[str, np.ndarray]:
        """Returns penalties, norms and sparsity of the evaluated weights, by TensorBoard tag."""
        sums = map_arrays(lambda sums: sums.numpy(), self._kernel_sums())
        # The objective is that of the update that made the weights.
        return self.program.reporter(self.hyper, np.array(max(self.steps_taken - 1, 0))).of_weights(sums)

    def weights(self) -> Weights:
        """Returns the weights that are evaluated as NumPy arrays: the current ones or, if it is kept, their average."""
        arrays: Weights = map_arrays(lambda variable: variable.numpy(), self._evaluated)
        return arrays

    def parameters(self) -> dict[str, dict[str, np.ndarray]]:
        """Returns the current parameters, which training goes on from, as NumPy arrays."""
        arrays: dict[str, dict[str, np.ndarray]] = map_arrays(lambda variable: variable.numpy(),
                                                              self.state["parameters"])
        return arrays

    @property
    def _evaluated(self) -> Weights:
        return averaged(self.state["slots"]) or Weights(self.state["parameters"], self.state["buffers"])

    def _arguments(self, epoch: int, first: int, count: int) -> tuple[Any, ...]:
        """Converts the arguments of `run` to those of the program's `run`."""
        return (self.state, self._resident, self.source.feed("train", epoch, first, count),
                tf.constant(first, tf.int32), tf.constant(count, tf.int32), self.hyper)

    def _call_run(self, arguments: tuple[Any, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.device(self.device):  # Applies only to the current thread.
            losses, packed = self.program.run(*arguments)
        return losses, packed

    def _sums(self, split: str, first: int, count: int) -> tuple[np.ndarray, ...]:
        """Returns the sums of `Step.evaluated` over some batches of an evaluation."""
        feed = self.source.feed(split, None, first, count)
        with tf.device(self.device):
            sums = self.program.evaluate(self._evaluated, self._resident, feed, tf.constant(first), tf.constant(count),
                                         tf.constant(self.program.layout.sizes[split]))
        return tuple(total.numpy() for total in sums)

    def _kernel_sums(self) -> tuple[tf.Tensor, ...]:
        with tf.device(self.device):
            sums: tuple[tf.Tensor, ...] = self.program.kernel_sums(self._evaluated.parameters)
        return sums
