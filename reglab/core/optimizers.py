"""Optimizers as pure functions from (gradients, slots, parameters, step, learning rate) to an `Update`.

reglab has its own because they are mapped over lanes, compiled by XLA inside the loop and combined with proximal steps;
each is tested against the Keras optimizer of the same name, whose defaults and conventions it keeps. `parameters`,
`gradients` and every slot are equal structures of tensors, {layer name: {array name: tensor}}; `step` is the number of
updates made before this one, an int64 scalar; `learning_rate` is a scalar of the parameters' dtype.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import tensorflow as tf

from reglab.core.parameters import Parameters, global_norm, map_arrays

Slots = dict[str, Parameters]


class Update(NamedTuple):
    """The outcome of an update.

    Attributes:
      parameters: the new parameters.
      slots: the new slots.
      rates: maps a layer and the name of one of its arrays to the rate at which each entry followed the gradient: a
        scalar, or shaped like the array. Computed only when called, so that programs that need no rates hold no
        operation for them.
    """

    parameters: Parameters
    slots: Slots
    rates: Callable[[str, str], tf.Tensor]


class Optimizer(Protocol):
    """An update rule."""

    def slots(self, parameters: Parameters) -> Slots:
        """Returns the optimizer's own arrays before the first update, all zero."""

    def update(self, gradients: Parameters, slots: Slots, parameters: Parameters, step: tf.Tensor,
               learning_rate: tf.Tensor) -> Update:
        """Makes one update."""

    def displaced(self, slots: Slots, moves: Parameters) -> Slots:
        """Returns the slots of an update after which a proximal operator moved some of the parameters further.

        Args:
          moves: maps each layer and array that moved to how far.
        """


@dataclasses.dataclass(frozen=True)
class SGD:
    """Gradient descent, with heavy-ball momentum if `momentum` > 0 (Polyak 1964):

        v ← momentum·v − learning_rate·g,    W ← W + v

    Where a proximal operator follows, the velocity is the whole move, W after it − W before the update (iPiano: Ochs et
    al. 2014, algorithm 2). With the velocity of the formula alone, training would settle where strengths are
    1 − momentum times what was asked for.
    """

    momentum: float = 0.0

    def slots(self, parameters: Parameters) -> Slots:
        """Returns {"velocity": zeros} with momentum, otherwise {}."""
        return {"velocity": _zeros(parameters)} if self.momentum else {}

    def update(self, gradients: Parameters, slots: Slots, parameters: Parameters, step: tf.Tensor,
               learning_rate: tf.Tensor) -> Update:
        """Applies the formula of the class to every array; the rate of every entry is the learning rate."""
        del step

        def rates(layer: str, name: str) -> tf.Tensor:
            del layer, name
            return learning_rate

        if not self.momentum:
            return Update(map_arrays(lambda w, g: w - learning_rate * g, parameters, gradients), {}, rates)
        velocity = map_arrays(lambda v, g: self.momentum * v - learning_rate * g, slots["velocity"], gradients)
        return Update(map_arrays(lambda w, v: w + v, parameters, velocity), {"velocity": velocity}, rates)

    def displaced(self, slots: Slots, moves: Parameters) -> Slots:
        """Adds the moves to the velocity."""
        if not self.momentum:
            return slots
        return {"velocity": {layer: {name: v + moves[layer][name] if name in moves.get(layer, {}) else v
                                     for name, v in arrays.items()} for layer, arrays in slots["velocity"].items()}}


@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, in the form of the last paragraph of section 2, as in Keras), at update t = step + 1:

        m ← m + (1 − β1)·(g − m),    v ← v + (1 − β2)·(g² − v)
        W ← W − learning_rate·√(1 − β2ᵗ)/(1 − β1ᵗ) · m / (√v + ε)

    With `weight_decay` > 0 it is AdamW (Loshchilov and Hutter 2019): before this update, the arrays in `decayed`
    ({layer: array name}; the kernels of a model) are multiplied by 1 − learning_rate·weight_decay. This decay is not
    part of the objective: it appears in no loss and no penalty.

    The estimate of the gradient is m / (1 − β1ᵗ), so the rate of an entry is learning_rate·√(1 − β2ᵗ) / (√v + ε).
    """

    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-7
    decayed: Mapping[str, str] | None = None

    def slots(self, parameters: Parameters) -> Slots:
        """Returns {"m": zeros, "v": zeros}."""
        return {"m": _zeros(parameters), "v": _zeros(parameters)}

    def update(self, gradients: Parameters, slots: Slots, parameters: Parameters, step: tf.Tensor,
               learning_rate: tf.Tensor) -> Update:
        """Applies the formula of the class to every array, after the decay."""
        m = map_arrays(lambda m, g: m + (g - m) * (1 - self.beta1), slots["m"], gradients)
        v = map_arrays(lambda v, g: v + (g * g - v) * (1 - self.beta2), slots["v"], gradients)
        t = tf.cast(step + 1, learning_rate.dtype)
        rate = learning_rate * tf.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)

        def rates(layer: str, name: str) -> tf.Tensor:
            return learning_rate * tf.sqrt(1 - self.beta2**t) / (tf.sqrt(v[layer][name]) + self.epsilon)

        if self.weight_decay:
            parameters = _decay(parameters, self.decayed or {}, 1 - learning_rate * self.weight_decay)
        parameters = map_arrays(lambda w, m, v: w - rate * m / (tf.sqrt(v) + self.epsilon), parameters, m, v)
        return Update(parameters, {"m": m, "v": v}, rates)

    def displaced(self, slots: Slots, moves: Parameters) -> Slots:
        """Returns the slots: they are of gradients alone."""
        del moves
        return slots


def make_optimizer(name: str, *, momentum: float = 0.9, weight_decay: float = 0.0,
                   decayed: Mapping[str, str] | None = None) -> Optimizer:
    """Returns the optimizer of a configuration: `name` is one of `config.OPTIMIZERS`, `decayed` is as in `Adam`.

    Raises:
      KeyError: the name is unknown.
    """
    optimizers: dict[str, Optimizer] = {
        "adam": Adam(), "adamw": Adam(weight_decay=weight_decay, decayed=decayed), "sgd": SGD(),
        "momentum": SGD(momentum=momentum)}
    return optimizers[name]


def clip_by_global_norm(gradients: Parameters, clip_norm: float) -> Parameters:
    """Returns g·min(1, clip_norm/‖g‖), where ‖g‖ is the global norm (Pascanu et al. 2013, algorithm 1)."""
    norm = global_norm(gradients)
    scale = clip_norm / tf.maximum(norm, clip_norm)
    return map_arrays(lambda g: g * scale, gradients)


def _zeros(parameters: Parameters) -> Parameters:
    return map_arrays(tf.zeros_like, parameters)


def _decay(parameters: Parameters, decayed: Mapping[str, str], factor: tf.Tensor) -> Parameters:
    return {layer: {name: array * factor if decayed.get(layer) == name else array for name, array in arrays.items()}
            for layer, arrays in parameters.items()}
