"""The compiled loop, which takes many steps per call. Code in `Replicas.run` runs on every replica; code around it runs
once per step.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from reglab.core.parameters import Parameters, Weights, map_arrays
from reglab.core.step import Hyperparameters, State
from reglab.engine.pieces import At, Pieces, no_piece


class Loop:
    """The loop over steps.

    Args:
      pieces: the parts of a step.
      summary_every: the interval between measured steps; 0 measures none.
      jit: whether to compile the parts with XLA where the loop as a whole cannot be.
    """

    def __init__(self, pieces: Pieces, summary_every: int, jit: bool) -> None:
        self._pieces, self._replicas, self._summary_every = pieces, pieces.replicas, summary_every
        # If the model couples the examples of a batch, these functions sum over replicas, which a piece must not do.
        piece = no_piece if pieces.step.model.couples_examples else self._replicas.piece
        self._gradient_share = piece(pieces.gradient_share, jit)
        self._update = self._replicas.piece(pieces.update, jit)
        self._update_if_finite = self._replicas.piece(pieces.update_if_finite, jit)
        # These pieces are not compiled by XLA, once for every device: they run too rarely for that to pay off.
        self._measured_share = piece(pieces.measured_share, False)
        self._measurement = self._replicas.piece(pieces.measurement, False)

    def run_steps(self, variables: State, resident: Any, feed: Any, first: tf.Tensor, count: tf.Tensor,
                  hyper: Hyperparameters) -> tuple[tf.Tensor, tf.Tensor]:
        """Takes `count` steps of an epoch, starting at its step `first`: see `Program.run`.

        The steps are taken in stretches with a measurement before each, so that plain steps carry no measurement.
        """
        replicas, layout, end = self._replicas, self._pieces.layout, first + count
        every = min(self._summary_every or layout.steps_per_epoch, tf.int64.max)
        lanes = self._pieces.lanes
        of_lanes = [] if lanes is None else [lanes]
        # Element shapes are given because XLA's front end translates the loop twice if it has to infer them.
        losses = tf.TensorArray(layout.dtype, layout.steps_per_epoch, element_shape=of_lanes)
        reports = tf.TensorArray(layout.dtype, layout.steps_per_epoch // every + 2,
                                 element_shape=[*of_lanes, self._pieces.packing.size])

        def take_step(i: tf.Tensor, state: State, losses: tf.TensorArray) -> tuple[Any, ...]:
            state, data_loss = replicas.run(self._train_step, At(i, resident, feed), state, hyper)
            return i + 1, state, losses.write(i, replicas.first(data_loss))

        def stretch(i: tf.Tensor, k: tf.Tensor, state: State, losses: tf.TensorArray,
                    reports: tf.TensorArray) -> tuple[Any, ...]:
            if self._summary_every:
                report = replicas.run(self._measure_step, At(i, resident, feed), state, hyper)
                reports = reports.write(k, replicas.first(report))
            until_next = every - replicas.first(state["step"]) % every  # int64, like the step.
            stop = i + tf.cast(tf.minimum(until_next, tf.cast(end - i, tf.int64)), tf.int32)
            i, state, losses = tf.while_loop(lambda i, *_: i < stop, take_step, (i, state, losses))
            return i, k + 1, state, losses, reports

        feed, hyper = replicas.everywhere((feed, hyper))
        state = replicas.everywhere(map_arrays(lambda variable: variable.read_value(), variables))
        *_, state, losses, reports = tf.while_loop(lambda i, *_: i < end, stretch, (first, 0, state, losses, reports))
        map_arrays(lambda variable, value: variable.assign(value), variables, replicas.first(state))
        return losses.stack(), reports.stack() if self._summary_every else tf.zeros([0], layout.dtype)

    def measured_steps(self, start: int, count: int) -> list[int]:
        """The steps of the run that `run_steps` measures: the first of the call, then each multiple of the interval."""
        if not (self._summary_every and count):
            return []
        following = (start // self._summary_every + 1) * self._summary_every
        return [start, *range(following, start + count, self._summary_every)]

    def data_gradient(self, variables: State, resident: Any, feed: Any, i: tf.Tensor,
                      hyper: Hyperparameters) -> tuple[tf.Tensor, Parameters]:
        """Returns the data loss and its gradient at step `i` of an epoch."""
        def gradient(at: At, state: State, hyper: Hyperparameters) -> Any:
            *shares, _ = self._gradient_share(at, self._replicas.index(), *self._shared_by(state, hyper))
            return self._replicas.sum(tuple(shares))

        feed, hyper, state = self._replicas.everywhere((feed, hyper, map_arrays(tf.identity, variables)))
        return self._replicas.first(self._replicas.run(gradient, At(i, resident, feed), state, hyper))

    def _train_step(self, at: At, state: State, hyper: Hyperparameters) -> tuple[State, tf.Tensor]:
        """Takes one step of every lane on the same global batch; returns the new state and the data loss."""
        replica = self._replicas.index()
        *shares, buffers = self._gradient_share(at, replica, *self._shared_by(state, hyper))
        data_loss, gradients = self._replicas.sum(tuple(shares))
        if self._pieces.step.skip_nonfinite:
            return self._update_if_finite(state, data_loss, gradients, hyper, buffers)
        return self._update(state, gradients, hyper, buffers), data_loss

    def _measure_step(self, at: At, state: State, hyper: Hyperparameters) -> tf.Tensor:
        """Returns a packed `Measurement` of the step about to be taken: [numbers] or [lanes, numbers]."""
        replica = self._replicas.index()
        shares = self._replicas.sum(self._measured_share(at, replica, *self._shared_by(state, hyper)))
        return self._measurement(state, shares, hyper)

    def _shared_by(self, state: State, hyper: Hyperparameters) -> tuple[Weights, Any, Any]:
        """The inputs for a share of a step: the weights and, if the model draws, seed and number of the step."""
        drawn = (hyper.seed, state["step"]) if self._pieces.step.model.draws else ((), ())
        return Weights(state["parameters"], state["buffers"]), *drawn
