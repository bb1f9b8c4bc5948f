"""The multilayer perceptron."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from reglab.core.lazily import tf
from reglab.core.models.base import ArrayInfo, Mode, Model, Settings, parameter_dtype, product_dtype
from reglab.core.models.dense import DenseLayers
from reglab.parameters import Buffers, Parameters, Weights


@dataclasses.dataclass(frozen=True)
class MLP(Model):
    """Dense layers on the flattened input: see `DenseLayers`. With no hidden layer it is softmax regression.

    Attributes:
      input_shape: that of one example.
    """

    name = "mlp"
    help = "Dense layers of the --hidden widths"
    sized_by = "hidden"

    input_shape: tuple[int, ...]
    hidden: tuple[int, ...]
    classes: int
    activation: str = "relu"
    dtype: Any = "float32"
    product_dtype: Any = None

    @classmethod
    def configured(cls, settings: Settings, input_shape: tuple[int, ...], classes: int) -> MLP:
        """See `Model`: it takes examples of every shape."""
        return cls(input_shape, settings.hidden, classes, settings.activation, parameter_dtype(settings.precision),
                   product_dtype(settings.precision))

    @property
    def _layers(self) -> DenseLayers:
        return DenseLayers(math.prod(self.input_shape), self.hidden, self.classes, self.activation, self.dtype,
                           self.product_dtype)

    @property
    def arrays(self) -> tuple[ArrayInfo, ...]:
        """See `DenseLayers`."""
        return self._layers.arrays

    def initialize(self, seed: int) -> Weights:
        """See `DenseLayers`."""
        return Weights(self._layers.initialize(seed))

    def apply(self, parameters: Parameters, buffers: Buffers, x: tf.Tensor, mode: Mode) -> tuple[tf.Tensor, Buffers]:
        """See `Model`."""
        del mode
        if len(self.input_shape) > 1:
            x = tf.reshape(x, [-1, math.prod(self.input_shape)])
        return self._layers.apply(parameters, x), buffers

    def describe(self) -> str:
        """Its widths, from input to logits, and the activation."""
        widths = (math.prod(self.input_shape), *self.hidden, self.classes)
        return f"MLP {'-'.join(map(str, widths))}, {self.activation}"

    def keras_layers(self, keras: Any, weights: Weights, rescaling: Any) -> list[tuple[Any, list[Any]]]:
        """See `Model`."""
        flatten = keras.layers.Flatten(dtype=weights.parameters["logits"]["bias"].dtype.name)
        return [(flatten, []), (rescaling, []), *self._layers.keras(keras, weights.parameters)]
