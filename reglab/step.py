"""The objective and the steps on it, as pure functions written for one lane. Start reading here.

For one lane over a global batch, w_i = 1 for a real example and 0 for padding:

    data  = Σ_i w_i · CE(logits_i, label_i) / Σ_i w_i
    total = data + Σ_terms Σ_k λ_k · Ω(W_k)          over the kernels W_k that the term covers

A term (`core/terms.py`) is a penalty Ω (`core/penalties/`), the layers whose kernels it covers and a strength λ for
each of them.

`Step.objective` is this sum, word for word. Training takes the gradient of the penalties in closed form
(`Step.penalty_gradient`), because XLA then never has to sum them at steps nobody looks at; `tests/test_step.py` holds
the one against the other.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

import tensorflow as tf

from reglab.core.terms import Term, kernel_sums, sums_of
from reglab.models import Model
from reglab.optimizers import Optimizer, Slots, clip_by_global_norm
from reglab.parameters import Parameters, global_norm, map_arrays


class Batch(NamedTuple):
    """One replica's part of a global batch."""

    x: tf.Tensor  # [examples, features], the model's dtype.
    y: tf.Tensor  # [examples] int32 labels.
    weights: tf.Tensor  # [examples], 1 for a real example, 0 for padding.
    total_weight: tf.Tensor  # Scalar: Σ w_i over the whole global batch, all replicas.


class Hyperparameters(NamedTuple):
    """What may differ from lane to lane; inputs of the compiled program, never constants in it."""

    strengths: dict[str, tf.Tensor]  # Name of a penalty to [layers of its term] λ of each kernel.
    learning_rate: tf.Tensor  # Scalar, before the schedule.


class State(TypedDict):
    """All that training changes. `step` counts updates and is shared by all lanes."""

    parameters: Parameters
    slots: Slots
    step: tf.Tensor


class Objective(NamedTuple):
    """The objective and its terms: scalars."""

    data: tf.Tensor
    penalties: dict[str, tf.Tensor]
    total: tf.Tensor


class Measurement(NamedTuple):
    """What is brought home of a step, as it stands before its update; scalars but for `kernels`."""

    data: tf.Tensor
    accuracy: tf.Tensor
    data_gradient_norm: tf.Tensor
    learning_rate: tf.Tensor
    kernels: tuple[tf.Tensor, ...]  # [layers] for each sum, see `Step.inspect`.


@dataclasses.dataclass(frozen=True)
class Step:
    """The functions of one lane.

    Attributes:
      model: the network.
      terms: what the objective adds to the data loss, at most one for each penalty; their layers are some of
        `model.dense_layers`, in that order.
      optimizer: the rule of descent.
      schedule: (learning rate, step) to the learning rate of that step.
      clip_norm: bound on the global norm of the total's gradient, or None.
      skip_nonfinite: whether updates are left out that are not finite; then `update_if_finite` is what is taken.
    """

    model: Model
    terms: tuple[Term, ...]
    optimizer: Optimizer
    schedule: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    clip_norm: float | None = None
    skip_nonfinite: bool = False

    @property
    def penalized_layers(self) -> tuple[str, ...]:
        """The layers whose kernels some term covers."""
        return tuple(layer for layer in self.model.dense_layers if any(layer in term.layers for term in self.terms))

    def data_loss(self, parameters: Parameters, batch: Batch) -> tf.Tensor:
        """Σ w_i · CE(logits_i, label_i) / Σ w_i: this replica's share of the data loss."""
        logits = self.model.apply(parameters, batch.x)
        return tf.reduce_sum(batch.weights * _cross_entropy(logits, batch.y)) / batch.total_weight

    def objective(self, parameters: Parameters, batch: Batch, hyper: Hyperparameters) -> Objective:
        """The objective in its plain form: what every other function here must agree with."""
        data = self.data_loss(parameters, batch)
        penalties = {term.name: term.value(parameters, hyper.strengths[term.name], data.dtype) for term in self.terms}
        total = data + sum(penalties.values())
        return Objective(data, penalties, total)

    def data_gradient(self, parameters: Parameters, batch: Batch) -> tuple[tf.Tensor, Parameters]:
        """This replica's share of the data loss and of its gradient: summed over replicas they are the whole."""
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            data = self.data_loss(parameters, batch)
        return data, tape.gradient(data, parameters)

    def penalty_gradient(self, parameters: Parameters, hyper: Hyperparameters) -> dict[str, tf.Tensor]:
        """Σ_terms λ·∇Ω(W) for each penalized kernel, by layer."""
        return {layer: functools.reduce(operator.add, [term.gradient(parameters, hyper.strengths[term.name], layer)
                                                       for term in self.terms if layer in term.layers])
                for layer in self.penalized_layers}

    def update(self, state: State, gradients: Parameters, hyper: Hyperparameters) -> State:
        """One descent step on the total, given the data loss's gradient over the whole global batch.

        The penalty enters here, after any sum over replicas, so it counts once whatever their number.
        """
        return self._descend(state, self._total_gradient(state["parameters"], gradients, hyper), hyper)

    def update_if_finite(self, state: State, data: tf.Tensor, gradients: Parameters,
                         hyper: Hyperparameters) -> tuple[State, tf.Tensor]:
        """`update`, or the old state with its step counted where `data` or the norm of the total's gradient is not
        finite; and the data loss, NaN where the update was left out.

        Data loss and gradient are those of the global batch, so every replica decides alike. Of the norm, since a
        gradient whose square overflows breaks Adam's slots and clipping as an infinite one does.
        """
        total = self._total_gradient(state["parameters"], gradients, hyper)
        finite = tf.math.is_finite(data) & tf.math.is_finite(global_norm(total))
        new = self._descend(state, total, hyper)
        kept = {name: map_arrays(lambda after, before: tf.where(finite, after, before), new[name], state[name])
                for name in ("parameters", "slots")}
        return ({"parameters": kept["parameters"], "slots": kept["slots"], "step": new["step"]},
                tf.where(finite, data, tf.constant(math.nan, data.dtype)))

    def _total_gradient(self, parameters: Parameters, gradients: Parameters, hyper: Hyperparameters) -> Parameters:
        gradients = {layer: dict(arrays) for layer, arrays in gradients.items()}
        for layer, penalty_gradient in self.penalty_gradient(parameters, hyper).items():
            gradients[layer]["kernel"] += penalty_gradient
        return gradients

    def _descend(self, state: State, gradients: Parameters, hyper: Hyperparameters) -> State:
        if self.clip_norm is not None:
            gradients = clip_by_global_norm(gradients, self.clip_norm)
        parameters, slots = self.optimizer.update(gradients, state["slots"], state["parameters"], state["step"],
                                                  self.schedule(hyper.learning_rate, state["step"]))
        return {"parameters": parameters, "slots": slots, "step": state["step"] + 1}

    def accuracy(self, parameters: Parameters, batch: Batch) -> tf.Tensor:
        """Σ w_i · [prediction i is right] / Σ w_i: this replica's share of the batch's accuracy."""
        logits = self.model.apply(parameters, batch.x)
        return tf.reduce_sum(batch.weights * _correct(logits, batch.y)) / batch.total_weight

    def measure(self, state: State, data: tf.Tensor, accuracy: tf.Tensor, gradients: Parameters,
                hyper: Hyperparameters) -> Measurement:
        """What is reported of a step before its update, given data loss, accuracy and gradient of the global batch.

        See `measurement.Reporter` for what is made of it.
        """
        return Measurement(data, accuracy, global_norm(gradients),
                           self.schedule(hyper.learning_rate, state["step"]), self.inspect(state["parameters"]))

    def inspect(self, parameters: Parameters) -> tuple[tf.Tensor, ...]:
        """What `sums_of` the terms names, [layers] for each: over each Dense kernel."""
        sums = sums_of(self.terms)
        of_layers = [kernel_sums(sums, parameters[layer]["kernel"]) for layer in self.model.dense_layers]
        return tuple(tf.unstack(tf.stack(of_layers, axis=1)))

    def evaluate(self, parameters: Parameters, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Σ w_i·CE_i and Σ w_i·[prediction is right], in float64: sums, so that batches of any size add up."""
        logits = self.model.apply(parameters, batch.x)
        loss = tf.reduce_sum(tf.cast(batch.weights * _cross_entropy(logits, batch.y), tf.float64))
        return loss, tf.reduce_sum(tf.cast(batch.weights * _correct(logits, batch.y), tf.float64))


def over_lanes(function: Callable[..., Any], lanes: int | None) -> Callable[..., Any]:
    """`function(lane, *shared)` mapped over the leading lane axis of every array in `lane`.

    None lanes means one lane without a lane axis: the same function, called as it is, which saves a single lane
    the 8-15 % that the map costs.
    """
    if lanes is None:
        return function
    return lambda lane, *shared: tf.vectorized_map(lambda one: function(one, *shared), lane,
                                                   fallback_to_while_loop=False)


def initial_state(step: Step, parameters: Parameters) -> State:
    """The state before the first update."""
    return {"parameters": parameters, "slots": step.optimizer.slots(parameters), "step": tf.constant(0, tf.int64)}


def stack_lanes(lanes: list[Any]) -> Any:
    """Equal structures of arrays, stacked along a new leading lane axis."""
    return map_arrays(lambda *arrays: tf.stack(arrays), *lanes)


def _cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def _correct(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.equal(tf.argmax(logits, -1, tf.int32), labels), logits.dtype)
