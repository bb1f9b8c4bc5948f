"""The objective and the steps on it, as pure functions written for one lane. Start reading here.

For one lane over a global batch, w_i = 1 for a real example and 0 for padding:

    data  = Σ_i w_i · CE(logits_i, label_i) / Σ_i w_i
    l1    = λ1 · Σ_k Σ |W_k|          over the penalized kernels W_k
    l2    = λ2 · Σ_k Σ W_k²
    total = data + l1 + l2

`Step.objective` is this sum, word for word. Training takes the gradient of the penalties in closed form
(`Step.penalty_gradient`), because XLA then never has to sum them at steps nobody looks at; `tests/test_step.py` holds
the one against the other.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypedDict

import tensorflow as tf

from reglab.models import Model
from reglab.optimizers import Optimizer, Slots, clip_by_global_norm
from reglab.parameters import Parameters, global_norm, map_arrays
from reglab.penalties import PENALTIES, Penalty, value

L1: Final[Penalty] = PENALTIES["l1"]
L2: Final[Penalty] = PENALTIES["l2"]
SPARSITY_THRESHOLD: Final = 1e-3
"""A kernel entry counts as gone when |w| is at most this: a subgradient step of Adam at its default rate of 1e-3
leaves entries that L1 holds at zero jittering within it."""


class Batch(NamedTuple):
    """One replica's part of a global batch."""

    x: tf.Tensor  # [examples, features], the model's dtype.
    y: tf.Tensor  # [examples] int32 labels.
    weights: tf.Tensor  # [examples], 1 for a real example, 0 for padding.
    total_weight: tf.Tensor  # Scalar: Σ w_i over the whole global batch, all replicas.


class Hyperparameters(NamedTuple):
    """What may differ from lane to lane; inputs of the compiled program, never constants in it."""

    l1: tf.Tensor  # [penalized layers] λ1 of each penalized kernel.
    l2: tf.Tensor  # [penalized layers] λ2 of each penalized kernel.
    learning_rate: tf.Tensor  # Scalar, before the schedule.


class State(TypedDict):
    """All that training changes. `step` counts updates and is shared by all lanes."""

    parameters: Parameters
    slots: Slots
    step: tf.Tensor


class Objective(NamedTuple):
    """The objective and its terms: scalars."""

    data: tf.Tensor
    l1: tf.Tensor
    l2: tf.Tensor
    total: tf.Tensor


class KernelSums(NamedTuple):
    """Sums over the entries w of each Dense kernel."""

    absolute: tf.Tensor  # [layers] Σ |w|
    square: tf.Tensor  # [layers] Σ w²
    small: tf.Tensor  # [layers] how many |w| are at most SPARSITY_THRESHOLD
    nonzero: tf.Tensor  # [layers] how many w are not 0


class Measurement(NamedTuple):
    """What is brought home of a step, as it stands before its update; scalars but for `kernels`."""

    data: tf.Tensor
    accuracy: tf.Tensor
    data_gradient_norm: tf.Tensor
    learning_rate: tf.Tensor
    kernels: KernelSums


@dataclasses.dataclass(frozen=True)
class Step:
    """The functions of one lane.

    Attributes:
      model: the network.
      penalized_layers: names of the layers whose kernels are penalized, a subset of `model.dense_layers`.
      optimizer: the rule of descent.
      schedule: (learning rate, step) to the learning rate of that step.
      clip_norm: bound on the global norm of the total's gradient, or None.
      skip_nonfinite: whether updates are left out that are not finite; then `update_if_finite` is what is taken.
    """

    model: Model
    penalized_layers: tuple[str, ...]
    optimizer: Optimizer
    schedule: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    clip_norm: float | None = None
    skip_nonfinite: bool = False

    def data_loss(self, parameters: Parameters, batch: Batch) -> tf.Tensor:
        """Σ w_i · CE(logits_i, label_i) / Σ w_i: this replica's share of the data loss."""
        logits = self.model.apply(parameters, batch.x)
        return tf.reduce_sum(batch.weights * _cross_entropy(logits, batch.y)) / batch.total_weight

    def objective(self, parameters: Parameters, batch: Batch, hyper: Hyperparameters) -> Objective:
        """The objective in its plain form: what every other function here must agree with."""
        kernels = [parameters[layer]["kernel"] for layer in self.penalized_layers]
        data = self.data_loss(parameters, batch)
        nothing = tf.zeros([], data.dtype)  # There may be no penalized layer.
        l1 = tf.add_n([nothing, *(hyper.l1[k] * value(L1, kernel) for k, kernel in enumerate(kernels))])
        l2 = tf.add_n([nothing, *(hyper.l2[k] * value(L2, kernel) for k, kernel in enumerate(kernels))])
        total = data + l1 + l2
        return Objective(data, l1, l2, total)

    def data_gradient(self, parameters: Parameters, batch: Batch) -> tuple[tf.Tensor, Parameters]:
        """This replica's share of the data loss and of its gradient: summed over replicas they are the whole."""
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            data = self.data_loss(parameters, batch)
        return data, tape.gradient(data, parameters)

    def penalty_gradient(self, parameters: Parameters, hyper: Hyperparameters) -> dict[str, tf.Tensor]:
        """λ1·sign(W) + 2·λ2·W for each penalized kernel, by layer."""
        return {layer: hyper.l1[k] * L1.gradient(parameters[layer]["kernel"])
                + hyper.l2[k] * L2.gradient(parameters[layer]["kernel"])
                for k, layer in enumerate(self.penalized_layers)}

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

    def inspect(self, parameters: Parameters) -> KernelSums:
        """The sums over the weights that penalties, norms and sparsity are made of."""
        sums = [_kernel_sums(parameters[layer]["kernel"]) for layer in self.model.dense_layers]
        return KernelSums(*tf.unstack(tf.stack(sums, axis=1)))

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


def _kernel_sums(kernel: tf.Tensor) -> tf.Tensor:
    """[4] `KernelSums` of one kernel: of each row as a product with ones, which XLA compiles faster than a sum of all.

    Row by row, since a product adds up one entry after another: in float32 a whole kernel of 4096 x 4096 as a single
    product was 4e-4 off.
    """
    absolute = L1.terms(kernel)
    terms = tf.stack([absolute, L2.terms(kernel), tf.cast(absolute <= SPARSITY_THRESHOLD, absolute.dtype),
                      tf.cast(absolute > 0, absolute.dtype)])
    kinds, rows, columns = terms.shape
    of_rows = tf.linalg.matvec(tf.reshape(terms, [kinds * rows, columns]), tf.ones([columns], absolute.dtype))
    return tf.reduce_sum(tf.reshape(of_rows, [kinds, rows]), 1)
