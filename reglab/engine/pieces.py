"""The parts of a step that run on one replica, for all lanes; between them, the caller sums over replicas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import tensorflow as tf

from reglab.core.parameters import Buffers, Parameters, Weights
from reglab.core.step import Hyperparameters, Measurement, State, Step, over_lanes
from reglab.core.terms import sums_of
from reglab.engine.packing import Packing
from reglab.engine.replicas import Replicas
from reglab.engine.sources.base import Layout, Share


class At(NamedTuple):
    """What a global batch is made from.

    Attributes:
      i: the place of the batch in the epoch.
      resident, feed: see `Source`.
    """

    i: tf.Tensor
    resident: Any
    feed: Any


class Pieces:
    """The parts of a step.

    Args:
      step: the functions of one lane.
      layout: how batches are made.
      lanes: the number of lanes, or None for one lane without a lane axis.
      replicas: the devices.

    Attributes:
      packing: packs a `Measurement` of one lane.
    """

    def __init__(self, step: Step, layout: Layout, lanes: int | None, replicas: Replicas) -> None:
        self.step, self.layout, self.lanes, self.replicas = step, layout, lanes, replicas
        number, of_layers = tf.TensorSpec([]), tf.TensorSpec([len(step.model.kernel_layers)])
        self.packing: Final = Packing(Measurement(number, number, number, number,
                                                  (of_layers,) * len(sums_of(step.terms))))

    def gradient_share(self, at: At, replica: Any, weights: Weights, seed: Any,
                       taken: Any) -> tuple[tf.Tensor, Parameters, Buffers]:
        """Returns this replica's share of data loss and gradient, and the new buffers.

        Args:
          seed, taken: the seed of the hyper-parameters and the number of updates so far; () if the model draws nothing.
        """
        batch = self._batch(at, replica)

        def share(lane: tuple[Any, ...], taken: Any) -> tuple[tf.Tensor, Parameters, Buffers]:
            (parameters, buffers), seed, x = lane
            mode = self.step.mode(batch, seed, taken, self.replicas.sum)
            return self.step.data_gradient(parameters, batch._replace(x=x), buffers, mode)

        # Every lane gets its own copy of x: with a shared x the map makes one wide product, for which it transposes the
        # kernels of all lanes back and forth, many times the size of x (8 lanes on MNIST: 7 % of the step).
        x = batch.x if self.lanes is None else tf.tile(batch.x[None], [self.lanes, *[1] * len(batch.x.shape)])
        return over_lanes(share, self.lanes)((weights, seed, x), taken)

    def measured_share(self, at: At, replica: Any, weights: Weights, seed: Any, taken: Any) -> tuple[Any, ...]:
        """Returns this replica's share of data loss, gradient and accuracy; arguments as in `gradient_share`."""
        batch = self._batch(at, replica)

        def share(lane: tuple[Any, ...], taken: Any) -> tuple[Any, ...]:
            (parameters, buffers), seed = lane
            mode = self.step.mode(batch, seed, taken, self.replicas.sum)
            data_loss, gradients, _ = self.step.data_gradient(parameters, batch, buffers, mode)
            return data_loss, gradients, self.step.accuracy(parameters, batch, buffers, mode)

        return over_lanes(share, self.lanes)((weights, seed), taken)

    def update(self, state: State, gradients: Parameters, hyper: Hyperparameters, buffers: Buffers) -> State:
        """Makes `Step.update` in every lane, on this replica."""
        def update(lane: tuple[Any, ...], taken: tf.Tensor) -> Any:
            own, *others = lane
            return _without_step(self.step.update(_with_step(own, taken), *others))

        new = over_lanes(update, self.lanes)((_without_step(state), gradients, hyper, buffers), state["step"])
        return _with_step(new, state["step"] + 1)

    def update_if_finite(self, state: State, data_loss: tf.Tensor, gradients: Parameters, hyper: Hyperparameters,
                         buffers: Buffers) -> tuple[State, tf.Tensor]:
        """Makes `Step.update_if_finite` in every lane, on this replica."""
        def update(lane: tuple[Any, ...], taken: tf.Tensor) -> tuple[Any, tf.Tensor]:
            own, *others = lane
            new, data_loss = self.step.update_if_finite(_with_step(own, taken), *others)
            return _without_step(new), data_loss

        lane = (_without_step(state), data_loss, gradients, hyper, buffers)
        new, data_loss = over_lanes(update, self.lanes)(lane, state["step"])
        return _with_step(new, state["step"] + 1), data_loss

    def measurement(self, state: State, shares: tuple[Any, ...], hyper: Hyperparameters) -> tf.Tensor:
        """Packs a `Measurement`, given the sum of the `measured_share`s: [numbers] or [lanes, numbers]."""
        def measure(lane: tuple[Any, ...], taken: tf.Tensor) -> tf.Tensor:
            own, (data_loss, gradients, accuracy), hyper = lane
            return self.packing.pack(self.step.measure(_with_step(own, taken), data_loss, accuracy, gradients, hyper))

        return over_lanes(measure, self.lanes)((_without_step(state), shares, hyper), state["step"])

    def _batch(self, at: At, replica: Any) -> Any:
        layout = self.layout
        share = Share(replica, -(-layout.batch_size // self.replicas.count), layout.batch_size, layout.train)
        return layout.batch(at.resident, at.feed, at.i, share)


def no_piece(function: Callable[..., Any], jit: bool) -> Callable[..., Any]:
    """Returns `function` unchanged, to be compiled with the surrounding program: see `Replicas.piece`."""
    del jit
    return function


def _without_step(state: State) -> dict[str, Any]:
    """The part of the state that each lane has for itself."""
    return {name: arrays for name, arrays in state.items() if name != "step"}


def _with_step(own: dict[str, Any], step: tf.Tensor) -> State:
    """Inverts `_without_step`."""
    return cast(State, {**own, "step": step})
