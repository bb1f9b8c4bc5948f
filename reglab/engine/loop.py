"""Many steps a call: the compiled loop. What stands between `Replicas.run` and its function happens once a step, what
stands inside happens on every replica.
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
      summary_every: steps between measured steps; 0 measures none.
      jit: compile the parts with XLA where the whole cannot be.
    """

    def __init__(self, pieces: Pieces, summary_every: int, jit: bool) -> None:
        self._pieces, self._replicas, self._summary_every = pieces, pieces.replicas, summary_every
        # Where the examples of a batch are coupled, the pieces sum over replicas themselves, so they are none.
        piece = no_piece if pieces.step.model.couples_examples else self._replicas.piece
        self._gradient_share = piece(pieces.gradient_share, jit)
        self._update = self._replicas.piece(pieces.update, jit)
        self._update_if_finite = self._replicas.piece(pieces.update_if_finite, jit)
        # As pieces not by XLA, which would compile them anew for every device: they run too seldom to be worth that.
        self._measured_share = piece(pieces.measured_share, False)
        self._measurement = self._replicas.piece(pieces.measurement, False)

    def run_steps(self, variables: State, resident: Any, feed: Any, first: tf.Tensor, count: tf.Tensor,
                  hyper: Hyperparameters) -> tuple[tf.Tensor, tf.Tensor]:
        """Takes `count` steps of an epoch from its step `first` on: see `Program.run`.

        They are stretches of steps with a measurement before each: the steps themselves carry no report.
        """
        replicas, layout, end = self._replicas, self._pieces.layout, first + count
        every = min(self._summary_every or layout.steps_per_epoch, tf.int64.max)
        lanes = self._pieces.lanes
        of_lanes = [] if lanes is None else [lanes]
        # With the shapes of their elements: XLA's front end translates the loop twice where it has to find them out.
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
            until_next = every - replicas.first(state["step"]) % every  # int64, as steps are.
            stop = i + tf.cast(tf.minimum(until_next, tf.cast(end - i, tf.int64)), tf.int32)
            i, state, losses = tf.while_loop(lambda i, *_: i < stop, take_step, (i, state, losses))
            return i, k + 1, state, losses, reports

        feed, hyper = replicas.everywhere((feed, hyper))
        state = replicas.everywhere(map_arrays(lambda variable: variable.read_value(), variables))
        *_, state, losses, reports = tf.while_loop(lambda i, *_: i < end, stretch, (first, 0, state, losses, reports))
        map_arrays(lambda variable, value: variable.assign(value), variables, replicas.first(state))
        return losses.stack(), reports.stack() if self._summary_every else tf.zeros([0], layout.dtype)

    def measured_steps(self, start: int, count: int) -> list[int]:
        """The steps of the run that `run_steps` measures: the first of the call, then each multiple."""
        if not (self._summary_every and count):
            return []
        following = (start // self._summary_every + 1) * self._summary_every
        return [start, *range(following, start + count, self._summary_every)]

    def data_gradient(self, variables: State, resident: Any, feed: Any, i: tf.Tensor,
                      hyper: Hyperparameters) -> tuple[tf.Tensor, Parameters]:
        """Data loss and its gradient at step `i` of an epoch."""
        def gradient(at: At, state: State, hyper: Hyperparameters) -> Any:
            *shares, _ = self._gradient_share(at, self._replicas.index(), *self._shared_by(state, hyper))
            return self._replicas.sum(tuple(shares))

        feed, hyper, state = self._replicas.everywhere((feed, hyper, map_arrays(tf.identity, variables)))
        return self._replicas.first(self._replicas.run(gradient, At(i, resident, feed), state, hyper))

    def _train_step(self, at: At, state: State, hyper: Hyperparameters) -> tuple[State, tf.Tensor]:
        """One step of every lane on the same global batch."""
        replica = self._replicas.index()
        *shares, buffers = self._gradient_share(at, replica, *self._shared_by(state, hyper))
        data_loss, gradients = self._replicas.sum(tuple(shares))
        if self._pieces.step.skip_nonfinite:
            return self._update_if_finite(state, data_loss, gradients, hyper, buffers)
        return self._update(state, gradients, hyper, buffers), data_loss

    def _measure_step(self, at: At, state: State, hyper: Hyperparameters) -> tf.Tensor:
        """[numbers] or [lanes, numbers]: a packed `Measurement` of the step about to be taken."""
        replica = self._replicas.index()
        shares = self._replicas.sum(self._measured_share(at, replica, *self._shared_by(state, hyper)))
        return self._measurement(state, shares, hyper)

    def _shared_by(self, state: State, hyper: Hyperparameters) -> tuple[Weights, Any, Any]:
        """What a share of a step is computed from: weights, and seed and number of the step if the model draws."""
        drawn = (hyper.seed, state["step"]) if self._pieces.step.model.draws else ((), ())
        return Weights(state["parameters"], state["buffers"]), *drawn
