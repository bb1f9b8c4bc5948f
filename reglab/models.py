"""Models as pure functions `apply(parameters, x) -> logits`, and which of their kernels are penalized."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Final

import tensorflow as tf

from reglab.layers import dense_layers, penalized_layers
from reglab.parameters import Parameters

__all__ = ["Model", "ACTIVATIONS", "mlp", "penalized_layers"]


ACTIVATIONS: Final[dict[str, Callable[[tf.Tensor], tf.Tensor]]] = {
    "relu": tf.nn.relu, "gelu": tf.nn.gelu, "elu": tf.nn.elu, "selu": tf.nn.selu, "silu": tf.nn.silu,
    "tanh": tf.nn.tanh, "sigmoid": tf.nn.sigmoid, "softplus": tf.nn.softplus, "linear": tf.identity,
}


@dataclasses.dataclass(frozen=True)
class Model:
    """A network without state of its own.

    Attributes:
      dense_layers: names of the Dense layers, input side first; keys of the parameters.
      initialize: seed to parameters {layer: {"kernel": [inputs, units], "bias": [units]}}.
      apply: (parameters, x [batch, features]) to logits [batch, classes].
    """

    dense_layers: tuple[str, ...]
    initialize: Callable[[int], Parameters]
    apply: Callable[[Parameters, tf.Tensor], tf.Tensor]


def mlp(features: int, hidden: tuple[int, ...], classes: int, *, activation: str = "relu",
        dtype: tf.DType = tf.float32, product_dtype: tf.DType | None = None) -> Model:
    """A multilayer perceptron: layers dense_0, dense_1, … of the `hidden` widths, then the layer named logits.

    Kernels start Glorot-uniform (Glorot and Bengio 2010, eq. 16), drawn in float64 so that the precision of the run
    changes only their rounding; biases start at 0. With no hidden layer it is softmax regression.

    Args:
      product_dtype: the dtype matrix products are rounded to (bfloat16, say); parameters and sums stay `dtype`.
    """
    widths = (features, *hidden, classes)
    names = dense_layers(hidden)
    nonlinearity = ACTIVATIONS[activation]

    def initialize(seed: int) -> Parameters:
        return {name: {"kernel": tf.cast(_glorot_uniform((inputs, units), (seed, i)), dtype),
                       "bias": tf.zeros([units], dtype)}
                for i, (name, inputs, units) in enumerate(zip(names, widths, widths[1:], strict=False))}

    def apply(parameters: Parameters, x: tf.Tensor) -> tf.Tensor:
        for name in names:
            x = _matmul(x, parameters[name]["kernel"], product_dtype) + parameters[name]["bias"]
            if name != names[-1]:
                x = nonlinearity(x)
        return x

    return Model(names, initialize, apply)


def _glorot_uniform(shape: tuple[int, int], seed: tuple[int, int]) -> tf.Tensor:
    limit = math.sqrt(6 / sum(shape))
    return tf.random.stateless_uniform(shape, seed, -limit, limit, dtype=tf.float64, alg="philox")


def _matmul(x: tf.Tensor, kernel: tf.Tensor, product_dtype: tf.DType | None) -> tf.Tensor:
    if product_dtype is None:
        return tf.matmul(x, kernel)
    return tf.cast(tf.matmul(tf.cast(x, product_dtype), tf.cast(kernel, product_dtype)), kernel.dtype)
