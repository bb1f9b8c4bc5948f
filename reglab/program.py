"""The compiled program of a run: many steps a call, on data and state that live on the device.

The state is held by `tf.Variable`s between calls and by the loop's tensors within one. All that varies from call to
call (positions, counts, penalties, learning rates) is an input, so a run traces and compiles each function once.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import numpy as np
import tensorflow as tf

from reglab.data import Dataset
from reglab.measurement import Reporter
from reglab.parameters import Parameters, map_arrays
from reglab.step import Batch, Hyperparameters, KernelSums, Measurement, State, Step, initial_state, over_lanes

EVALUATION_BATCH: Final = 1000


@dataclasses.dataclass(frozen=True)
class Calls:
    """What one call of `Program.run` brings back; lane axis last where there are lanes.

    Attributes:
      data_losses: [steps] data loss of each step's batch, before its update.
      report_steps: [reports] the global steps that were measured, multiples of `summary_every`.
      reports: tag to [reports] values, measured at those steps before their update.
    """

    data_losses: np.ndarray
    report_steps: np.ndarray
    reports: dict[str, np.ndarray]


class Program:
    """One run on one device.

    Args:
      step: the functions of one lane.
      parameters: where to start; with a leading lane axis if `lanes` is given.
      hyper: the hyper-parameters, each with a leading lane axis if `lanes` is given.
      dataset: both splits; put on the device once, in the dtype they have.
      batch_size: global batch, in examples.
      summary_every: steps between measured steps; 0 measures none.
      lanes: how many lanes there are, or None for one without a lane axis.
      jit: compile with XLA.

    Attributes:
      state: the variables, a `State`.
      steps_per_epoch: ⌈training examples / batch size⌉; the last batch is padded with weight 0.
    """

    def __init__(self, step: Step, parameters: Parameters, hyper: Hyperparameters, dataset: Dataset, *,
                 batch_size: int, summary_every: int, lanes: int | None = None, jit: bool = True) -> None:
        self.step, self.hyper, self.lanes = step, hyper, lanes
        self.state: State = map_arrays(tf.Variable, initial_state(step, parameters))
        self.sizes = {"train": len(dataset.train), "validation": len(dataset.validation)}
        self.steps_per_epoch = -(-len(dataset.train) // batch_size)
        self._batch_size, self._summary_every = batch_size, summary_every
        self._dtype = hyper.learning_rate.dtype
        # Dividing by a runtime value, not a constant: XLA would multiply by the rounded reciprocal instead.
        self._divisor = tf.constant(dataset.divisor, self._dtype)
        self._x = tf.constant(np.concatenate([dataset.train.x, dataset.validation.x]))
        self._y = tf.constant(np.concatenate([dataset.train.y, dataset.validation.y]))
        sizes = {layer: arrays["kernel"].shape[-2:].num_elements() for layer, arrays in parameters.items()}
        self._reporter = Reporter.of(step, sizes, hyper.l1.numpy(), hyper.l2.numpy())
        self._run = tf.function(self._run_steps, jit_compile=jit, autograph=False)
        self._evaluate = tf.function(self._evaluate_range, autograph=False)
        self._inspect = tf.function(self._inspect_weights, autograph=False)

    def run(self, order: np.ndarray, first: int, count: int) -> Calls:
        """Takes `count` steps of one epoch, from its step `first` on.

        Args:
          order: [training examples] int32, this epoch's permutation of the training examples.
        """
        start = int(self.state["step"])
        padding = self.steps_per_epoch * self._batch_size - len(order)
        losses, reports = self._run(self._x, self._y, np.pad(order, (0, padding)), tf.constant(first, tf.int32),
                                    tf.constant(count, tf.int32), self._divisor, self.hyper)
        measured = self._measured_steps(start, count)
        kept = [k for k, at in enumerate(measured) if at % self._summary_every == 0]
        return Calls(losses.numpy()[first:first + count], np.array([measured[k] for k in kept], np.int64),
                     self._reporter.of_step(self._unflatten(reports.numpy()[kept])) if kept else {})

    def evaluate(self, split: str) -> dict[str, np.ndarray]:
        """Mean cross-entropy ("data") and accuracy over every example of "train" or "validation", each once."""
        first = 0 if split == "train" else self.sizes["train"]
        sums = self._evaluate(self._x, self._y, tf.constant(first), tf.constant(self.sizes[split]), self._divisor)
        return {name: total.numpy() / self.sizes[split] for name, total in zip(("data", "accuracy"), sums, strict=True)}

    def inspect(self) -> dict[str, np.ndarray]:
        """Penalties, norms and sparsity of the weights as they are now, by TensorBoard tag."""
        return self._reporter.of_weights(map_arrays(lambda sums: sums.numpy(), self._inspect()))

    def parameters(self) -> dict[str, dict[str, np.ndarray]]:
        """The weights as they are now, as NumPy arrays."""
        return map_arrays(lambda variable: variable.numpy(), self.state["parameters"])

    def _unflatten(self, numbers: np.ndarray) -> Measurement:
        """[..., numbers] to a `Measurement` of [...] and [..., layers] arrays: the inverse of `_measure`."""
        scalars, sums = np.split(numbers, [len(Measurement._fields) - 1], axis=-1)
        return Measurement(*np.moveaxis(scalars, -1, 0),
                           kernels=KernelSums(*np.split(sums, len(KernelSums._fields), axis=-1)))

    def _measured_steps(self, start: int, count: int) -> list[int]:
        """The global steps that `_run_steps` measures: the first of the call, then each multiple."""
        if not (self._summary_every and count):
            return []
        following = (start // self._summary_every + 1) * self._summary_every
        return [start, *range(following, start + count, self._summary_every)]

    def _run_steps(self, x: tf.Tensor, y: tf.Tensor, order: tf.Tensor, first: tf.Tensor, count: tf.Tensor,
                   divisor: tf.Tensor, hyper: Hyperparameters) -> tuple[tf.Tensor, tf.Tensor]:
        """Stretches of steps with a measurement before each: the steps themselves carry no report."""
        end = first + count
        every = self._summary_every or self.steps_per_epoch
        lane_shape = [] if self.lanes is None else [self.lanes]
        losses = tf.TensorArray(self._dtype, self.steps_per_epoch, element_shape=lane_shape)
        reports = tf.TensorArray(self._dtype, self.steps_per_epoch // every + 2)

        def batch(i: tf.Tensor) -> Batch:
            positions = i * self._batch_size + tf.range(self._batch_size)
            return self._gather(x, y, tf.gather(order, positions), positions < self.sizes["train"], divisor)

        def take_step(i: tf.Tensor, state: State, losses: tf.TensorArray) -> tuple[Any, ...]:
            state, data_loss = self._train_step(state, batch(i), hyper)
            return i + 1, state, losses.write(i, data_loss)

        def stretch(i: tf.Tensor, k: tf.Tensor, state: State, losses: tf.TensorArray,
                    reports: tf.TensorArray) -> tuple[Any, ...]:
            if self._summary_every:
                reports = reports.write(k, self._measure(state, batch(i), hyper))
            until_next = every - tf.cast(state["step"] % every, tf.int32)
            stop = tf.minimum(end, i + until_next)
            i, state, losses = tf.while_loop(lambda i, *_: i < stop, take_step, (i, state, losses))
            return i, k + 1, state, losses, reports

        state = map_arrays(lambda variable: variable.read_value(), self.state)
        *_, state, losses, reports = tf.while_loop(lambda i, *_: i < end, stretch, (first, 0, state, losses, reports))
        map_arrays(lambda variable, value: variable.assign(value), self.state, state)
        return losses.stack(), reports.stack() if self._summary_every else tf.zeros([0], self._dtype)

    def _train_step(self, state: State, batch: Batch, hyper: Hyperparameters) -> tuple[State, tf.Tensor]:
        """One step of every lane on the same batch."""
        data_gradient = over_lanes(self.step.data_gradient, self.lanes)

        def update(lane: tuple[Any, ...], at: tf.Tensor) -> tuple[Any, ...]:
            parameters, slots, gradients, hyper = lane
            new = self.step.update({"parameters": parameters, "slots": slots, "step": at}, gradients, hyper)
            return new["parameters"], new["slots"]

        data_loss, gradients = data_gradient(state["parameters"], batch)
        lane = (state["parameters"], state["slots"], gradients, hyper)
        parameters, slots = over_lanes(update, self.lanes)(lane, state["step"])
        return {"parameters": parameters, "slots": slots, "step": state["step"] + 1}, data_loss

    def _measure(self, state: State, batch: Batch, hyper: Hyperparameters) -> tf.Tensor:
        """[numbers] or [lanes, numbers]: a flat `Measurement`."""
        def measure(lane: tuple[Any, ...], at: tf.Tensor) -> tf.Tensor:
            parameters, slots, hyper = lane
            measured = self.step.measure({"parameters": parameters, "slots": slots, "step": at}, batch, hyper)
            return tf.concat([tf.reshape(array, [-1]) for array in tf.nest.flatten(measured)], 0)

        return over_lanes(measure, self.lanes)((state["parameters"], state["slots"], hyper), state["step"])

    def _evaluate_range(self, x: tf.Tensor, y: tf.Tensor, first: tf.Tensor, size: tf.Tensor,
                        divisor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Sums of cross-entropy and of right predictions over `size` examples from `first` on."""
        sums = tf.zeros([] if self.lanes is None else [self.lanes], tf.float64)
        evaluate = over_lanes(self.step.evaluate, self.lanes)

        def add_batch(i: tf.Tensor, loss: tf.Tensor, correct: tf.Tensor) -> tuple[tf.Tensor, ...]:
            positions = i + tf.range(EVALUATION_BATCH)
            batch = self._gather(x, y, first + tf.minimum(positions, size - 1), positions < size, divisor)
            more_loss, more_correct = evaluate(map_arrays(tf.identity, self.state["parameters"]), batch)
            return i + EVALUATION_BATCH, loss + more_loss, correct + more_correct

        _, loss, correct = tf.while_loop(lambda i, *_: i < size, add_batch, (0, sums, sums))
        return loss, correct

    def _inspect_weights(self) -> KernelSums:
        return over_lanes(self.step.inspect, self.lanes)(map_arrays(tf.identity, self.state["parameters"]))

    def _gather(self, x: tf.Tensor, y: tf.Tensor, ids: tf.Tensor, real: tf.Tensor, divisor: tf.Tensor) -> Batch:
        weights = tf.cast(real, self._dtype)
        return Batch(tf.cast(tf.gather(x, ids), self._dtype) / divisor, tf.gather(y, ids), weights,
                     tf.reduce_sum(weights))
