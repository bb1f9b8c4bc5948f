"""The compiled program of a run: many steps a call, on data and state that live on the device.

The state is held by `tf.Variable`s between calls and by the loop's tensors within one. All that varies from call to
call (state, positions, counts, penalties, learning rates) is an input, so a run traces and compiles each function once,
and so do several runs of the same shapes (`Program.sibling`).
"""

from __future__ import annotations

import concurrent.futures
import copy
import dataclasses
from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
import tensorflow as tf

from reglab.core.measurement import Reporter
from reglab.core.parameters import Buffers, Parameters, Weights, map_arrays
from reglab.core.step import Batch, Hyperparameters, Measurement, State, Step, initial_state, over_lanes
from reglab.core.terms import sums_of
from reglab.data import Dataset
from reglab.engine.compile_cache import name_alike
from reglab.engine.replicas import Replicas, traced

EVALUATION_BATCH: Final = 1000


@dataclasses.dataclass(frozen=True)
class Calls:
    """What one call of `Program.run` brings back; lane axis last where there are lanes.

    Attributes:
      data_losses: [steps] data loss of each step's batch, before its update; with `Step.skip_nonfinite` NaN where
        that was left out.
      report_steps: [reports] the global steps that were measured, multiples of `summary_every`.
      reports: tag to [reports] values, measured at those steps before their update.
    """

    data_losses: np.ndarray
    report_steps: np.ndarray
    reports: dict[str, np.ndarray]


class Program:
    """One run.

    Args:
      step: the functions of one lane.
      weights: where to start; with a leading lane axis if `lanes` is given.
      hyper: the hyper-parameters, each with a leading lane axis if `lanes` is given.
      dataset: both splits; put on every device once, in the dtype they have.
      batch_size: global batch, in examples.
      summary_every: steps between measured steps; 0 measures none.
      lanes: how many lanes there are, or None for one without a lane axis.
      jit: compile with XLA.
      replicas: the devices.

    Attributes:
      state: the variables, a `State`, on this process's first device.
      steps_per_epoch: ⌈training examples / batch size⌉; the last batch is padded with weight 0.
    """

    def __init__(self, step: Step, weights: Weights, hyper: Hyperparameters, dataset: Dataset, *,
                 batch_size: int, summary_every: int, lanes: int | None = None, jit: bool = True,
                 replicas: Replicas | None = None) -> None:
        self.step, self.hyper, self.lanes = step, hyper, lanes
        self.replicas = replicas = replicas or Replicas()
        self.state: State = map_arrays(tf.Variable, initial_state(step, weights))
        self.sizes = {"train": len(dataset.train), "validation": len(dataset.validation)}
        self.steps_per_epoch = -(-len(dataset.train) // batch_size)
        self._batch_size, self._summary_every = batch_size, summary_every
        self._share_size = -(-batch_size // replicas.count)
        self._dtype = hyper.learning_rate.dtype
        self._input_shape = dataset.input_shape
        self.use_data(dataset)
        # Where the examples of a batch are coupled, the pieces sum over replicas themselves, so they are none.
        piece = _no_piece if step.model.couples_examples else replicas.piece
        self._gradient_share = piece(self._gradient_share_of, jit)
        self._update = replicas.piece(self._update_of, jit)
        self._update_if_finite = replicas.piece(self._update_if_finite_of, jit)
        # As pieces not by XLA, which would compile them anew for every device: they run too seldom to be worth that.
        self._measured_share = piece(self._measured_share_of, False)
        self._measurement = replicas.piece(self._measurement_of, False)
        self._run = replicas.program(self._run_steps, jit)
        # Not by XLA: large batches run as fast without, and there is nothing to wait for.
        self._evaluate = replicas.program(self._evaluate_range, False)
        self._inspect = traced(self._inspect_weights)
        self._compiling: concurrent.futures.Future[Any] | None = None

    def prepare(self) -> None:
        """Traces all functions, and has XLA compile the loop in a thread meanwhile, which the first `run` waits for.

        By calls of no step and no example: they change nothing. XLA does not hold the interpreter, so whatever the
        caller does before `run` costs no time, but it must not change the state. A program of several replicas
        compiles its pieces when they first run, so for it this does nothing.
        """
        name_alike()
        if not self.replicas.compiles_whole:
            return
        order = np.zeros(self.sizes["train"], np.int32)
        arguments = self._arguments(order, 0, 0)
        self._run.get_concrete_function(*arguments)
        compiler = concurrent.futures.ThreadPoolExecutor(1, "compile")
        self._compiling = compiler.submit(self._run, *arguments)
        compiler.shutdown(wait=False)
        self._evaluate(self._weights, self._data, tf.constant(0), tf.constant(0))
        self._inspect(self.state["parameters"])

    def sibling(self, weights: Weights, hyper: Hyperparameters) -> Program:
        """A run of its own, of the same shapes, that shares data and compiled functions; compiles nothing anew.

        The two may run at the same time, in different threads.
        """
        program = copy.copy(self)
        program.hyper, program._compiling = hyper, None
        program.state = map_arrays(tf.Variable, initial_state(self.step, weights))
        return program

    def use_data(self, dataset: Dataset) -> None:
        """From now on other data, of the same shapes and types; compiles nothing anew."""
        assert self.sizes == {"train": len(dataset.train), "validation": len(dataset.validation)}
        # Dividing by a runtime value, not a constant: XLA would multiply by the rounded reciprocal instead.
        divisor = tf.constant(dataset.divisor, self._dtype)
        self._data = self.replicas.everywhere((tf.constant(np.concatenate([dataset.train.x, dataset.validation.x])),
                                               tf.constant(np.concatenate([dataset.train.y, dataset.validation.y])),
                                               divisor))

    def use_data_of(self, other: Program) -> None:
        """From now on the data of a sibling, of which there is no second copy."""
        self._data = other._data

    def restart(self, weights: Weights, hyper: Hyperparameters) -> None:
        """Begins again with other weights and hyper-parameters of the same shapes; compiles nothing anew."""
        self.hyper = hyper
        map_arrays(lambda variable, value: variable.assign(value), self.state, initial_state(self.step, weights))

    def run(self, order: np.ndarray, first: int, count: int) -> Calls:
        """Takes `count` steps of one epoch, from its step `first` on.

        Args:
          order: [training examples] int32, this epoch's permutation of the training examples.
        """
        if self._compiling is not None:
            self._compiling.result()
            self._compiling = None
        start = int(self.state["step"])
        losses, reports = self._run(*self._arguments(order, first, count))
        measured = self._measured_steps(start, count)
        kept = [k for k, at in enumerate(measured) if at % self._summary_every == 0]
        return Calls(losses.numpy()[first:first + count], np.array([measured[k] for k in kept], np.int64),
                     self._reporter.of_step(self._unflatten(reports.numpy()[kept])) if kept else {})

    def _arguments(self, order: np.ndarray, first: int, count: int) -> tuple[Any, ...]:
        """What `_run_steps` takes, from what `run` does."""
        return (self.state, self._data, self._padded(order), tf.constant(first, tf.int32),
                tf.constant(count, tf.int32), self.hyper)

    def evaluate(self, split: str) -> dict[str, np.ndarray]:
        """Mean cross-entropy ("data_loss") and accuracy over every example of "train" or "validation", each once."""
        first = 0 if split == "train" else self.sizes["train"]
        sums = self._evaluate(self._weights, self._data, tf.constant(first), tf.constant(self.sizes[split]))
        names = ("data_loss", "accuracy")
        return {name: total.numpy() / self.sizes[split] for name, total in zip(names, sums, strict=True)}

    def data_gradient(self, order: np.ndarray, first: int) -> tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]:
        """Data loss and its gradient at step `first` of an epoch, of the state as it is, which stays. Not fast."""
        gradient = traced(self._data_gradient_at)(self.state, self._data, self._padded(order),
                                                  tf.constant(first, tf.int32), self.hyper)
        data, gradients = map_arrays(lambda array: array.numpy(), gradient)
        return data, gradients

    def inspect(self) -> dict[str, np.ndarray]:
        """Penalties, norms and sparsity of the weights as they are now, by TensorBoard tag."""
        return self._reporter.of_weights(map_arrays(lambda sums: sums.numpy(), self._inspect(self.state["parameters"])))

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

    @property
    def _reporter(self) -> Reporter:
        """Made anew for every report, since `hyper` may have changed between calls."""
        strengths = {name: strength.numpy() for name, strength in self.hyper.strengths.items()}
        return Reporter.of(self.step, strengths)

    def _padded(self, order: np.ndarray) -> np.ndarray:
        """The order with room for the shares of the last batch that stay empty."""
        room = self.steps_per_epoch * self._batch_size + self._share_size * self.replicas.count
        return np.pad(order, (0, room - len(order)))

    def _measured_steps(self, start: int, count: int) -> list[int]:
        """The global steps that `_run_steps` measures: the first of the call, then each multiple."""
        if not (self._summary_every and count):
            return []
        following = (start // self._summary_every + 1) * self._summary_every
        return [start, *range(following, start + count, self._summary_every)]

    def _unflatten(self, numbers: np.ndarray) -> Measurement:
        """[..., numbers] to a `Measurement` of [...] and [..., layers] arrays: the inverse of `_measurement_of`."""
        scalars, sums = np.split(numbers, [len(Measurement._fields) - 1], axis=-1)
        data, accuracy, data_gradient_norm, learning_rate = np.moveaxis(scalars, -1, 0)
        kernels = np.split(sums, len(sums_of(self.step.terms)), axis=-1)
        return Measurement(data, accuracy, data_gradient_norm, learning_rate, tuple(kernels))

    # The loop. What stands between `run` and its function happens once a step, what stands inside on every replica.

    def _run_steps(self, variables: State, data: Any, order: tf.Tensor, first: tf.Tensor, count: tf.Tensor,
                   hyper: Hyperparameters) -> tuple[tf.Tensor, tf.Tensor]:
        """Stretches of steps with a measurement before each: the steps themselves carry no report."""
        replicas, end = self.replicas, first + count
        every = min(self._summary_every or self.steps_per_epoch, tf.int64.max)
        losses = tf.TensorArray(self._dtype, self.steps_per_epoch,
                                element_shape=[] if self.lanes is None else [self.lanes])
        reports = tf.TensorArray(self._dtype, self.steps_per_epoch // every + 2)

        def take_step(i: tf.Tensor, state: State, losses: tf.TensorArray) -> tuple[Any, ...]:
            state, data_loss = replicas.run(self._train_step, i, state, data, order, hyper)
            return i + 1, state, losses.write(i, replicas.first(data_loss))

        def stretch(i: tf.Tensor, k: tf.Tensor, state: State, losses: tf.TensorArray,
                    reports: tf.TensorArray) -> tuple[Any, ...]:
            if self._summary_every:
                report = replicas.run(self._measure_step, i, state, data, order, hyper)
                reports = reports.write(k, replicas.first(report))
            until_next = every - replicas.first(state["step"]) % every  # int64, as steps are.
            stop = i + tf.cast(tf.minimum(until_next, tf.cast(end - i, tf.int64)), tf.int32)
            i, state, losses = tf.while_loop(lambda i, *_: i < stop, take_step, (i, state, losses))
            return i, k + 1, state, losses, reports

        order, hyper = replicas.everywhere((order, hyper))
        state = replicas.everywhere(map_arrays(lambda variable: variable.read_value(), variables))
        *_, state, losses, reports = tf.while_loop(lambda i, *_: i < end, stretch, (first, 0, state, losses, reports))
        map_arrays(lambda variable, value: variable.assign(value), variables, replicas.first(state))
        return losses.stack(), reports.stack() if self._summary_every else tf.zeros([0], self._dtype)

    def _train_step(self, i: tf.Tensor, state: State, data: Any, order: tf.Tensor,
                    hyper: Hyperparameters) -> tuple[State, tf.Tensor]:
        """One step of every lane on the same global batch."""
        replica = self.replicas.index()
        *shares, buffers = self._gradient_share(i, replica, *self._shared_by(state, hyper), data, order)
        data_loss, gradients = self.replicas.sum(tuple(shares))
        if self.step.skip_nonfinite:
            return self._update_if_finite(state, data_loss, gradients, hyper, buffers)
        return self._update(state, gradients, hyper, buffers), data_loss

    def _shared_by(self, state: State, hyper: Hyperparameters) -> tuple[Weights, Any, Any]:
        """What a share of a step is computed from: weights, and seed and number of the step if the model draws."""
        drawn = (hyper.seed, state["step"]) if self.step.model.draws else ((), ())
        return Weights(state["parameters"], state["buffers"]), *drawn

    def _measure_step(self, i: tf.Tensor, state: State, data: Any, order: tf.Tensor,
                      hyper: Hyperparameters) -> tf.Tensor:
        """[numbers] or [lanes, numbers]: a flat `Measurement` of the step about to be taken."""
        replica = self.replicas.index()
        shares = self.replicas.sum(self._measured_share(i, replica, *self._shared_by(state, hyper), data, order))
        return self._measurement(state, shares, hyper)

    # The pieces: over all lanes, on one replica.

    def _gradient_share_of(self, i: tf.Tensor, replica: Any, weights: Weights, seed: Any, at: Any, data: Any,
                           order: tf.Tensor) -> tuple[tf.Tensor, Parameters, Buffers]:
        batch = self._batch(i, replica, data, order)

        def share(lane: tuple[Any, ...], at: Any) -> tuple[tf.Tensor, Parameters, Buffers]:
            (parameters, buffers), seed, x = lane
            mode = self.step.mode(batch, seed, at, self.replicas.sum)
            return self.step.data_gradient(parameters, batch._replace(x=x), buffers, mode)

        # Every lane gets its copy of x: of a shared one the map makes a single wide product, for which it transposes
        # the kernels of all lanes to and fro, many times the size of x (8 lanes on MNIST: 7 % of the step).
        x = batch.x if self.lanes is None else tf.tile(batch.x[None], [self.lanes, *[1] * len(batch.x.shape)])
        return over_lanes(share, self.lanes)((weights, seed, x), at)

    def _measured_share_of(self, i: tf.Tensor, replica: Any, weights: Weights, seed: Any, at: Any, data: Any,
                           order: tf.Tensor) -> tuple[Any, ...]:
        batch = self._batch(i, replica, data, order)

        def share(lane: tuple[Any, ...], at: Any) -> tuple[Any, ...]:
            (parameters, buffers), seed = lane
            mode = self.step.mode(batch, seed, at, self.replicas.sum)
            data, gradients, _ = self.step.data_gradient(parameters, batch, buffers, mode)
            return data, gradients, self.step.accuracy(parameters, batch, buffers, mode)

        return over_lanes(share, self.lanes)((weights, seed), at)

    def _update_of(self, state: State, gradients: Parameters, hyper: Hyperparameters, buffers: Buffers) -> State:
        def update(lane: tuple[Any, ...], at: tf.Tensor) -> Any:
            own, *others = lane
            return _without_step(self.step.update(_with_step(own, at), *others))

        new = over_lanes(update, self.lanes)((_without_step(state), gradients, hyper, buffers), state["step"])
        return _with_step(new, state["step"] + 1)

    def _update_if_finite_of(self, state: State, data: tf.Tensor, gradients: Parameters, hyper: Hyperparameters,
                             buffers: Buffers) -> tuple[State, tf.Tensor]:
        def update(lane: tuple[Any, ...], at: tf.Tensor) -> tuple[Any, tf.Tensor]:
            own, *others = lane
            new, data = self.step.update_if_finite(_with_step(own, at), *others)
            return _without_step(new), data

        lane = (_without_step(state), data, gradients, hyper, buffers)
        new, data = over_lanes(update, self.lanes)(lane, state["step"])
        return _with_step(new, state["step"] + 1), data

    def _measurement_of(self, state: State, shares: tuple[Any, ...], hyper: Hyperparameters) -> tf.Tensor:
        def measure(lane: tuple[Any, ...], at: tf.Tensor) -> tf.Tensor:
            own, (data, gradients, accuracy), hyper = lane
            measured = self.step.measure(_with_step(own, at), data, accuracy, gradients, hyper)
            return tf.concat([tf.reshape(array, [-1]) for array in tf.nest.flatten(measured)], 0)

        return over_lanes(measure, self.lanes)((_without_step(state), shares, hyper), state["step"])

    def _evaluate_range(self, weights: Weights, data: Any, first: tf.Tensor,
                        size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Sums of cross-entropy and of right predictions over `size` examples from `first` on."""
        def of_batch(weights: Weights, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
            return self.step.evaluate(weights.parameters, batch, weights.buffers)

        def evaluate(weights: Weights, data: Any, first: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, ...]:
            offset = self.replicas.index() * EVALUATION_BATCH
            zeros = tf.zeros([] if self.lanes is None else [self.lanes], tf.float64)

            def add_batch(i: tf.Tensor, loss: tf.Tensor, correct: tf.Tensor) -> tuple[tf.Tensor, ...]:
                positions = i + offset + tf.range(EVALUATION_BATCH)
                real = positions < size
                batch = self._gather(data, first + tf.minimum(positions, size - 1), real, tf.reduce_sum(
                    tf.cast(real, self._dtype)))
                more_loss, more_correct = over_lanes(of_batch, self.lanes)(weights, batch)
                return i + EVALUATION_BATCH * self.replicas.count, loss + more_loss, correct + more_correct

            return self.replicas.sum(tf.while_loop(lambda i, *_: i < size, add_batch, (0, zeros, zeros))[1:])

        weights = self.replicas.everywhere(map_arrays(tf.identity, weights))
        return self.replicas.first(self.replicas.run(evaluate, weights, data, first, size))

    def _data_gradient_at(self, variables: State, data: Any, order: tf.Tensor, i: tf.Tensor,
                          hyper: Hyperparameters) -> tuple[tf.Tensor, Parameters]:
        def gradient(i: tf.Tensor, state: State, data: Any, order: tf.Tensor, hyper: Hyperparameters) -> Any:
            *shares, _ = self._gradient_share(i, self.replicas.index(), *self._shared_by(state, hyper), data, order)
            return self.replicas.sum(tuple(shares))

        order, hyper, state = self.replicas.everywhere((order, hyper, map_arrays(tf.identity, variables)))
        return self.replicas.first(self.replicas.run(gradient, i, state, data, order, hyper))

    def _inspect_weights(self, weights: Parameters) -> tuple[tf.Tensor, ...]:
        return over_lanes(self.step.measure_kernels, self.lanes)(map_arrays(tf.identity, weights))

    def _batch(self, i: tf.Tensor, replica: Any, data: Any, order: tf.Tensor) -> Batch:
        """A replica's consecutive part of global batch `i`; empty places have weight 0."""
        offsets = replica * self._share_size + tf.range(self._share_size)
        positions = i * self._batch_size + offsets
        real = (offsets < self._batch_size) & (positions < self.sizes["train"])
        examples = tf.minimum(self._batch_size, self.sizes["train"] - i * self._batch_size)
        batch = self._gather(data, tf.gather(order, positions), real, tf.cast(examples, self._dtype))
        return batch._replace(places=offsets)

    def _gather(self, data: Any, ids: tf.Tensor, real: tf.Tensor, total_weight: tf.Tensor) -> Batch:
        x, y, divisor = data
        x = tf.cast(tf.gather(x, ids), self._dtype) / divisor
        if len(self._input_shape) > 1:
            x = tf.reshape(x, [-1, *self._input_shape])
        return Batch(x, tf.gather(y, ids), tf.cast(real, self._dtype), total_weight)


def _no_piece(function: Callable[..., Any], jit: bool) -> Callable[..., Any]:
    """`function` as it is, where it is part of the program around it: see `Replicas.piece`."""
    del jit
    return function


def _without_step(state: State) -> dict[str, Any]:
    """What each lane has of its own."""
    return {name: arrays for name, arrays in state.items() if name != "step"}


def _with_step(own: dict[str, Any], step: tf.Tensor) -> State:
    """The inverse of `_without_step`."""
    return cast(State, {**own, "step": step})
