"""The objective and a training step on it, as pure functions written for one lane. Start reading here.

For one lane, over a global batch with weights w_i (1 for a real example, or the weight of its class; 0 for padding):

    data loss = Σ_i w_i · CE(logits_i, label_i) / Σ_i w_i
    total     = data loss + Σ_terms Σ_k λ_k · Ω(W_k)     over the kernels W_k that the term covers

A term (`core/terms.py`) is a penalty Ω (`core/penalties/`), the layers whose kernels it covers and a strength λ for
each of them. With label smoothing ε (Szegedy et al. 2016, section 7) training sees the smoothed data loss in place of
the data loss: over K classes CE is then taken of 1 − ε of the label and ε/K of every class. Evaluation tells both.

`Step.objective` is exactly this sum. Training uses the closed form of the penalties' gradient
(`Step.penalty_gradient`), so that XLA does not have to sum the penalties at steps that are not measured;
`tests/core/test_step.py` checks that the two agree. A term may act by its proximal operator instead: an update is then

    clip(data gradient + gradients of the other terms) → optimizer → proximal operators, one after another

in the metric of the optimizer's own rates, entry by entry. With any other metric, the fixed points of the update would
not be stationary points of the total.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

import tensorflow as tf

from reglab.core.averaging import first_average, next_average
from reglab.core.covering import apart, joined
from reglab.core.debiasing import strengths_then
from reglab.core.losses import SMOOTHED, WEIGHTED, correct, cross_entropy, smoothed_cross_entropy
from reglab.core.models import EVALUATION, Mode, Model
from reglab.core.models.random import threefry
from reglab.core.optimizers import Optimizer, Slots, Update, clip_by_global_norm
from reglab.core.parameters import Buffers, Parameters, Weights, global_norm, map_arrays, replaced
from reglab.core.terms import Term, kernel_sums, sums_of


class Batch(NamedTuple):
    """One replica's share of a global batch."""

    x: tf.Tensor  # [examples, *input_shape], of the model's dtype.
    y: tf.Tensor  # [examples] int32 labels.
    weights: tf.Tensor  # [examples], 1 for a real example, 0 for padding.
    total_weight: tf.Tensor  # Scalar: Σ w_i over the whole global batch, all replicas.
    places: tf.Tensor = ()  # [examples] int32: each example's place in the global batch; for models that draw.
    loss_weights: tf.Tensor = ()  # [examples], where classes weigh differently in the data loss of training.
    total_loss_weight: tf.Tensor = ()  # Scalar: their sum over the whole global batch, all replicas.


class Hyperparameters(NamedTuple):
    """The settings that may differ between lanes; inputs of the compiled program, never constants in it."""

    strengths: dict[str, tf.Tensor]  # Maps each penalty's name to the λ of its kernels, [layers of its term].
    learning_rate: tf.Tensor  # Scalar, before the schedule.
    seed: tf.Tensor = ()  # [2] uint32, for random numbers in training; set only if the model draws any.


class State(TypedDict):
    """Everything that training changes. `step` counts updates and is shared by all lanes."""

    parameters: Parameters
    buffers: Buffers
    slots: Slots
    step: tf.Tensor


class Objective(NamedTuple):
    """The objective and its parts: scalars."""

    data_loss: tf.Tensor  # With label smoothing the smoothed one.
    penalties: dict[str, tf.Tensor]
    total: tf.Tensor


class Measurement(NamedTuple):
    """The raw results of measuring a step before its update; scalars except `kernels`."""

    data_loss: tf.Tensor  # With label smoothing the smoothed one.
    accuracy: tf.Tensor
    data_gradient_norm: tf.Tensor
    learning_rate: tf.Tensor
    kernels: tuple[tf.Tensor, ...]  # [layers] for each sum, as returned by `Step.measure_kernels`.


@dataclasses.dataclass(frozen=True)
class Step:
    """The functions that make up a step of one lane.

    Attributes:
      model: the network.
      terms: what the objective adds to the data loss, at most one term per penalty; their layers are a subset of
        `model.kernel_layers`, in the same order.
      optimizer: the update rule.
      schedule: maps (learning rate, step) to the learning rate of that step.
      clip_norm: an upper bound on the global norm of the total's gradient, without terms that act by their proximal
        operator; or None.
      skip_nonfinite: whether updates that are not finite are skipped, that is, whether to call `update_if_finite`.
      label_smoothing: ε, from 0 to less than 1.
      average_decay: the decay of an average of the weights (`core/averaging.py`), or None for no average.
      weighted: whether the examples of a batch have `loss_weights`.
      debias_from: the number of updates after which all others debias (`core/debiasing.py`), or None if none do.
    """

    model: Model
    terms: tuple[Term, ...]
    optimizer: Optimizer
    schedule: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    clip_norm: float | None = None
    skip_nonfinite: bool = False
    label_smoothing: float = 0.0
    average_decay: float | None = None
    weighted: bool = False
    debias_from: int | None = None

    @property
    def penalized_layers(self) -> tuple[str, ...]:
        """The layers that some term covers."""
        return tuple(layer for layer in self.model.kernel_layers if any(layer in term.layers for term in self.terms))

    def mode(self, batch: Batch, seed: tf.Tensor = (), at: tf.Tensor | int = 0,
             total: Callable[[tf.Tensor], tf.Tensor] = lambda share: share) -> Mode:
        """Returns how the model is applied to a batch in the step that follows `at` updates.

        Args:
          seed: the seed of the hyper-parameters.
          total: turns a sum over this replica's share into the sum over all replicas.
        """
        drawn = step_seed(seed, at) if self.model.draws else ()
        return Mode(True, batch.weights, batch.total_weight, batch.places, drawn, total)

    def data_loss(self, parameters: Parameters, batch: Batch, buffers: Buffers | None = None,
                  mode: Mode | None = None) -> tuple[tf.Tensor, Buffers]:
        """Σ w_i · CE(logits_i, label_i) / Σ w_i, this replica's share of the data loss, and the new buffers.

        With label smoothing it is the smoothed data loss.
        """
        logits, after = self.model.apply(parameters, buffers or {}, batch.x, mode or self.mode(batch))
        losses = smoothed_cross_entropy(logits, batch.y, self.label_smoothing)
        weights, total = ((batch.loss_weights, batch.total_loss_weight) if self.weighted else
                          (batch.weights, batch.total_weight))
        return tf.reduce_sum(weights * losses) / total, after

    def objective(self, parameters: Parameters, batch: Batch, hyper: Hyperparameters, buffers: Buffers | None = None,
                  mode: Mode | None = None) -> Objective:
        """Computes the objective in its plain form, with which all other functions here must agree."""
        data_loss, _ = self.data_loss(parameters, batch, buffers, mode)
        penalties = {term.name: term.value([self.covered(term, layer, parameters) for layer in term.layers],
                                           hyper.strengths[term.name], data_loss.dtype) for term in self.terms}
        total = data_loss + sum(penalties.values())
        return Objective(data_loss, penalties, total)

    def data_gradient(self, parameters: Parameters, batch: Batch, buffers: Buffers | None = None,
                      mode: Mode | None = None) -> tuple[tf.Tensor, Parameters, Buffers]:
        """Returns this replica's share of the data loss and of its gradient, and the new buffers.

        Summed over replicas, the shares give the data loss and gradient of the global batch; the buffers are the same
        on every replica.
        """
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            data_loss, after = self.data_loss(parameters, batch, buffers, mode)
        return data_loss, tape.gradient(data_loss, parameters), after

    def covered(self, term: Term, layer: str, parameters: Parameters) -> tf.Tensor:
        """Returns the array W of a layer that the penalty of a term is of, from parameters or a structure like them."""
        return joined(term.penalty, self.model.kernels(parameters)[layer], self.model.biases(parameters).get(layer))

    def uncovered(self, term: Term, layer: str, w: tf.Tensor, parameters: Parameters) -> dict[str, tf.Tensor]:
        """Inverts `covered`: maps the names of the layer's arrays to their parts of `w`, shaped as in `parameters`."""
        kernel, bias = self.model.kernels(parameters)[layer], self.model.biases(parameters).get(layer)
        of_kernel, of_bias = apart(term.penalty, w, kernel, bias)
        return {self.model.kernel_names[layer]: of_kernel,
                **({} if of_bias is None else {self.model.bias_names[layer]: of_bias})}

    def penalty_gradient(self, parameters: Parameters, hyper: Hyperparameters) -> Parameters:
        """Computes Σ λ·∇Ω(W) over the terms that act by their gradient, by layer and name of the arrays they cover."""
        found: Parameters = {}
        for layer, term in itertools.product(self.penalized_layers, self.terms):
            if layer in term.layers and not term.proximal:
                gradient = term.gradient(self.covered(term, layer, parameters), hyper.strengths[term.name], layer)
                of_layer = found.setdefault(layer, {})
                for name, part in self.uncovered(term, layer, gradient, parameters).items():
                    of_layer[name] = of_layer[name] + part if name in of_layer else part
        return found

    def update(self, state: State, gradients: Parameters, hyper: Hyperparameters,
               buffers: Buffers | None = None) -> State:
        """Makes one descent step on the total.

        The penalty enters here, after any sum over replicas, so it counts once whatever the number of replicas.

        Args:
          gradients: the gradient of the data loss over the whole global batch.
          buffers: the buffers after this step; None keeps those of the state.
        """
        hyper = self._then(hyper, state["step"])
        total = self._total_gradient(state["parameters"], gradients, hyper)
        return self._descend(state, total, hyper, buffers)

    def update_if_finite(self, state: State, data_loss: tf.Tensor, gradients: Parameters, hyper: Hyperparameters,
                         buffers: Buffers | None = None) -> tuple[State, tf.Tensor]:
        """Makes the `update` only if `data_loss` and the norm of the total's gradient are finite.

        Otherwise the state stays as it was, except that its step is counted. Data loss and gradient are those of the
        global batch, so every replica decides alike. The norm is tested rather than the entries, since a gradient whose
        square overflows breaks Adam's slots and clipping just as an infinite one does.

        Returns:
          The new state, and the data loss, or NaN in its place if the update was skipped.
        """
        hyper = self._then(hyper, state["step"])
        total = self._total_gradient(state["parameters"], gradients, hyper)
        finite = tf.math.is_finite(data_loss) & tf.math.is_finite(global_norm(total))
        new = self._descend(state, total, hyper, buffers)
        kept = {name: map_arrays(lambda after, before: tf.where(finite, after, before), new[name], state[name])
                for name in ("parameters", "buffers", "slots")}
        return ({"parameters": kept["parameters"], "buffers": kept["buffers"], "slots": kept["slots"],
                 "step": new["step"]}, tf.where(finite, data_loss, tf.constant(math.nan, data_loss.dtype)))

    def is_debiasing(self, step: Any) -> Any:
        """Whether the update that follows `step` updates debiases: a truth value for each."""
        return step >= self.debias_from

    def _then(self, hyper: Hyperparameters, step: tf.Tensor) -> Hyperparameters:
        if self.debias_from is None:
            return hyper
        return hyper._replace(strengths=strengths_then(hyper.strengths, self.terms, self.is_debiasing(step)))

    def _total_gradient(self, parameters: Parameters, gradients: Parameters, hyper: Hyperparameters) -> Parameters:
        return replaced(gradients, {
            layer: {name: gradients[layer][name] + of_penalty for name, of_penalty in arrays.items()}
            for layer, arrays in self.penalty_gradient(parameters, hyper).items()})

    def _descend(self, state: State, gradients: Parameters, hyper: Hyperparameters, buffers: Buffers | None) -> State:
        if self.clip_norm is not None:
            gradients = clip_by_global_norm(gradients, self.clip_norm)
        update = self.optimizer.update(gradients, state["slots"], state["parameters"], state["step"],
                                       self.schedule(hyper.learning_rate, state["step"]))
        if any(term.proximal for term in self.terms):
            plain, update = update, self._apply_proximal(update, hyper)
            if self.debias_from is not None:
                update = self._debiased(state, plain, update)
        parameters, slots, _ = update
        buffers = state["buffers"] if buffers is None else buffers
        if self.average_decay is not None:
            slots = {**slots, **next_average(state["slots"], parameters, buffers, state["step"], self.average_decay)}
        return {"parameters": parameters, "buffers": buffers, "slots": slots, "step": state["step"] + 1}

    def _apply_proximal(self, update: Update, hyper: Hyperparameters) -> Update:
        before = after = update.parameters
        for term in self.terms:
            for layer in term.layers if term.proximal else ():
                w = term.apply_proximal(self.covered(term, layer, after), hyper.strengths[term.name], layer,
                                        self._rates(term, layer, update))
                after = replaced(after, {layer: self.uncovered(term, layer, w, after)})
        moves = {layer: {name: array - before[layer][name] for name, array in arrays.items()
                         if array is not before[layer][name]} for layer, arrays in after.items()}
        return update._replace(parameters=after, slots=self.optimizer.displaced(update.slots, moves))

    def _debiased(self, state: State, plain: Update, shrunk: Update) -> Update:
        """Returns the update before the proximal operators, with zeros held, while debiasing; else the one after."""
        is_debiasing = self.is_debiasing(state["step"])
        after, slots = map_arrays(lambda off, on: tf.where(is_debiasing, off, on), plain[:2], shrunk[:2])
        for term in self.terms:
            for layer in term.layers if term.proximal else ():
                before, w = (self.covered(term, layer, arrays) for arrays in (state["parameters"], after))
                held = tf.where(is_debiasing & (before == 0), tf.zeros_like(w), w)
                after = replaced(after, {layer: self.uncovered(term, layer, held, after)})
        return Update(after, slots, shrunk.rates)

    def _rates(self, term: Term, layer: str, update: Update) -> tf.Tensor:
        """The rates of the array that a term is of in a layer, as one array like it, or as a scalar."""
        of_kernel = update.rates(layer, self.model.kernel_names[layer])
        if not of_kernel.shape.rank or not term.penalty.covers_bias or layer not in self.model.bias_names:
            return of_kernel
        return joined(term.penalty, of_kernel, update.rates(layer, self.model.bias_names[layer]))

    def accuracy(self, parameters: Parameters, batch: Batch, buffers: Buffers | None = None,
                 mode: Mode | None = None) -> tf.Tensor:
        """Σ w_i · [prediction i is right] / Σ w_i, this replica's share of the batch's accuracy."""
        logits, _ = self.model.apply(parameters, buffers or {}, batch.x, mode or self.mode(batch))
        return tf.reduce_sum(batch.weights * correct(logits, batch.y)) / batch.total_weight

    def measure(self, state: State, data_loss: tf.Tensor, accuracy: tf.Tensor, gradients: Parameters,
                hyper: Hyperparameters) -> Measurement:
        """Measures a step before its update, given the data loss, accuracy and gradient of the global batch.

        `measurement.Reporter` makes the report from the result.
        """
        return Measurement(data_loss, accuracy, global_norm(gradients),
                           self.schedule(hyper.learning_rate, state["step"]), self.measure_kernels(state["parameters"]))

    def measure_kernels(self, parameters: Parameters) -> tuple[tf.Tensor, ...]:
        """Computes the sums over each kernel that `sums_of(self.terms)` lists: [layers] for each sum."""
        sums = sums_of(self.terms)
        biases = self.model.biases(parameters)
        of_layers = [kernel_sums(sums, kernel, biases.get(layer))
                     for layer, kernel in self.model.kernels(parameters).items()]
        return tuple(tf.unstack(tf.stack(of_layers, axis=1)))

    @property
    def trained_loss(self) -> str:
        """The name of the data loss that is trained on."""
        return self.evaluated[2] if len(self.evaluated) > 2 else "data_loss"

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The names of what `evaluate` sums up; the last of three is the data loss that is trained on.

        With class weights that is the weighted data loss, whether its labels are smoothed or not.
        """
        return ("data_loss", "accuracy", *([WEIGHTED] if self.weighted else
                                           [SMOOTHED] if self.label_smoothing else []))

    def evaluate(self, parameters: Parameters, batch: Batch, buffers: Buffers | None = None) -> tuple[tf.Tensor, ...]:
        """Σ w_i·CE_i, Σ w_i·[prediction is right], where w_i is 1 or 0, and the sum for the loss that is trained on.

        That is Σ w_i·(smoothed CE)_i, with class weights in the w_i, if it is another than the first.

        They are sums in float64, so that batches of any size add up.
        """
        logits, _ = self.model.apply(parameters, buffers or {}, batch.x, EVALUATION)
        of_examples = [batch.weights * cross_entropy(logits, batch.y), batch.weights * correct(logits, batch.y)]
        if len(self.evaluated) > 2:
            weights = batch.loss_weights if self.weighted else batch.weights
            of_examples.append(weights * smoothed_cross_entropy(logits, batch.y, self.label_smoothing))
        return tuple(tf.reduce_sum(tf.cast(numbers, tf.float64)) for numbers in of_examples)


def over_lanes(function: Callable[..., Any], lanes: int | None) -> Callable[..., Any]:
    """Returns `function(lane, *shared)` mapped over the leading lane axis of every array in `lane`.

    If `lanes` is None there is one lane without a lane axis, and the function itself is returned, which saves a single
    lane the 8-15 % that the map costs.
    """
    if lanes is None:
        return function
    return lambda lane, *shared: tf.vectorized_map(lambda one: function(one, *shared), lane,
                                                   fallback_to_while_loop=False)


def initial_state(step: Step, weights: Weights) -> State:
    """Returns the state before the first update."""
    parameters, buffers = weights
    slots = step.optimizer.slots(parameters)
    if step.average_decay is not None:
        slots = {**slots, **first_average(weights)}
    return {"parameters": parameters, "buffers": buffers, "slots": slots, "step": tf.constant(0, tf.int64)}


def step_seed(seed: tf.Tensor, at: tf.Tensor | int) -> tf.Tensor:
    """[2] uint32: the seed for the model's random numbers in the step that follows `at` updates."""
    at = tf.cast(at, tf.int64)
    counter = tf.cast(at % 2**32, tf.uint32), tf.cast(at // 2**32, tf.uint32)
    return tf.stack(threefry((seed[0], seed[1]), counter))


def stack_lanes(lanes: list[Any]) -> Any:
    """Stacks equal structures of arrays along a new leading lane axis."""
    return map_arrays(lambda *arrays: tf.stack(arrays), *lanes)

