"""A stack of Dense layers: the whole MLP, and the last part of other models."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Final

from reglab.core.elementwise import relu
from reglab.core.lazily import tf
from reglab.core.models.base import ArrayInfo
from reglab.core.models.pruning import PrunedLayers, prune_units
from reglab.core.parameters import Parameters

ACTIVATIONS: Final[dict[str, Callable[[tf.Tensor], tf.Tensor]]] = {
    "relu": relu, "gelu": lambda x: tf.nn.gelu(x), "elu": lambda x: tf.nn.elu(x),
    "selu": lambda x: tf.nn.selu(x), "silu": lambda x: tf.nn.silu(x), "tanh": lambda x: tf.nn.tanh(x),
    "sigmoid": lambda x: tf.nn.sigmoid(x), "softplus": lambda x: tf.nn.softplus(x), "linear": lambda x: tf.identity(x),
}


@dataclasses.dataclass(frozen=True)
class DenseLayers:
    """Layers dense_0, dense_1, … with the `hidden` widths, then a layer named logits; each is x @ kernel + bias.

    Kernels start Glorot-uniform (Glorot and Bengio 2010, eq. 16), drawn in float64 so that the run's precision only
    affects how they are rounded; biases start at 0.

    Attributes:
      features: the width of the input.
      hidden: the widths of the hidden layers.
      classes: the number of logits.
      activation: the function applied after each hidden layer, one of `ACTIVATIONS`.
      dtype: the dtype of the arrays.
      product_dtype: the dtype to which inputs of matrix products are rounded (such as bfloat16), or None; arrays and
        sums stay `dtype`.
    """

    features: int
    hidden: tuple[int, ...]
    classes: int
    activation: str
    dtype: Any
    product_dtype: Any

    @property
    def names(self) -> tuple[str, ...]:
        """The layer names, starting at the input side."""
        return (*(f"dense_{i}" for i in range(len(self.hidden))), "logits")

    @property
    def arrays(self) -> tuple[ArrayInfo, ...]:
        """A kernel [inputs, units] and a bias [units] for each layer."""
        widths = (self.features, *self.hidden, self.classes)
        return tuple(ArrayInfo(f"{layer}/{role}", layer, role, "Dense", shape)
                     for layer, inputs, units in zip(self.names, widths, widths[1:], strict=False)
                     for role, shape in (("kernel", (inputs, units)), ("bias", (units,))))

    def initialize(self, seed: int, first: int = 0) -> Parameters:
        """Returns the arrays before the first step; layer i draws from the seed (seed, first + i)."""
        shapes = {array.path: array.shape for array in self.arrays}
        return {layer: {"kernel": glorot_uniform(shapes[f"{layer}/kernel"], (seed, first + i), self.dtype),
                        "bias": tf.zeros(shapes[f"{layer}/bias"], self.dtype)}
                for i, layer in enumerate(self.names)}

    def apply(self, parameters: Parameters, x: tf.Tensor,
              after_hidden: Callable[[tf.Tensor, int], tf.Tensor] = lambda x, layer: x) -> tf.Tensor:
        """Returns the [examples, classes] logits of `x` [examples, features].

        Args:
          after_hidden: maps (output of hidden layer i, i) to the input of the next layer.
        """
        for i, layer in enumerate(self.names):
            x = matmul(x, parameters[layer]["kernel"], self.product_dtype) + parameters[layer]["bias"]
            if layer != "logits":
                x = after_hidden(ACTIVATIONS[self.activation](x), i)
        return x

    def pruned(self, parameters: Parameters) -> tuple[Parameters, PrunedLayers]:
        """Returns the arrays without the units that no logit needs, in their dtype, and what was kept."""
        of_layers = [parameters[layer] for layer in self.names]
        found = prune_units([arrays["kernel"].numpy() for arrays in of_layers],
                            [arrays["bias"].numpy() for arrays in of_layers],
                            lambda x: ACTIVATIONS[self.activation](tf.constant(x)).numpy())
        return {layer: {"kernel": tf.constant(kernel, self.dtype), "bias": tf.constant(bias, self.dtype)}
                for layer, kernel, bias in zip(self.names, found.kernels, found.biases, strict=True)}, found

    def keras(self, keras: Any, parameters: Parameters) -> list[tuple[Any, list[Any]]]:
        """Returns the same network as Keras layers, each with its arrays."""
        dtype = parameters["logits"]["kernel"].dtype.name
        return [(keras.layers.Dense(parameters[layer]["kernel"].shape[1], name=layer, dtype=dtype,
                                    activation=None if layer == "logits" else self.activation),
                 [parameters[layer]["kernel"], parameters[layer]["bias"]]) for layer in self.names]


def glorot_uniform(shape: tuple[int, ...], seed: tuple[int, int], dtype: Any) -> tf.Tensor:
    """Draws uniformly from ±√(6 / (fan in + fan out)); the last two axes are inputs and outputs, the rest a window."""
    limit = math.sqrt(6 / (math.prod(shape[:-2]) * sum(shape[-2:])))
    drawn = tf.random.stateless_uniform(shape, seed, -limit, limit, dtype=tf.float64, alg="philox")
    return tf.cast(drawn, dtype)


def matmul(x: tf.Tensor, kernel: tf.Tensor, product_dtype: Any) -> tf.Tensor:
    """Computes x @ kernel in the kernel's dtype, first rounding both to `product_dtype` unless it is None."""
    if product_dtype is None:
        return tf.matmul(x, kernel)
    return tf.cast(tf.matmul(tf.cast(x, product_dtype), tf.cast(kernel, product_dtype)), kernel.dtype)
