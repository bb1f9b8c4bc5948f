"""The multilayer perceptron."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from reglab.core.lazily import tf
from reglab.core.models.base import ArrayInfo, Mode, Model, Pruned, Settings, parameter_dtype, product_dtype
from reglab.core.models.dense import DenseLayers
from reglab.core.models.random import dropout
from reglab.core.parameters import Buffers, Parameters, Weights


@dataclasses.dataclass(frozen=True)
class MLP(Model):
    """`DenseLayers` on the flattened input. Without hidden layers it is softmax regression.

    Attributes:
      input_shape: the shape of one example.
      dropout: the fraction of each hidden layer's outputs that `random.dropout` sets to 0 in training.
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
    dropout: float = 0.0

    @classmethod
    def configured(cls, settings: Settings, input_shape: tuple[int, ...], classes: int) -> MLP:
        """Returns the MLP for a configuration; it accepts examples of any shape."""
        return cls(input_shape, settings.hidden, classes, settings.activation, parameter_dtype(settings.precision),
                   product_dtype(settings.precision), settings.dropout)

    @property
    def draws(self) -> bool:
        """True if there is dropout."""
        return self.dropout > 0 and bool(self.hidden)

    @property
    def _layers(self) -> DenseLayers:
        return DenseLayers(math.prod(self.input_shape), self.hidden, self.classes, self.activation, self.dtype,
                           self.product_dtype)

    @property
    def arrays(self) -> tuple[ArrayInfo, ...]:
        """A kernel and a bias for each layer, starting at the input side."""
        return self._layers.arrays

    def initialize(self, seed: int) -> Weights:
        """Returns Glorot-uniform kernels, which depend on the seed, and biases of 0."""
        return Weights(self._layers.initialize(seed))

    def apply(self, parameters: Parameters, buffers: Buffers, x: tf.Tensor, mode: Mode) -> tuple[tf.Tensor, Buffers]:
        """Returns the [examples, classes] logits of `x` [examples, *input_shape]; there are no buffers."""
        if len(self.input_shape) > 1:
            x = tf.reshape(x, [-1, math.prod(self.input_shape)])
        return self._layers.apply(parameters, x, lambda x, layer: dropout(x, self.dropout, mode, layer)), buffers

    def describe(self) -> str:
        """Describes the widths, from input to logits, the activation and any dropout."""
        widths = (math.prod(self.input_shape), *self.hidden, self.classes)
        rate = f", dropout {self.dropout:g}" if self.draws else ""
        return f"MLP {'-'.join(map(str, widths))}, {self.activation}{rate}"

    def keras_layers(self, keras: Any, weights: Weights, rescaling: Any) -> list[tuple[Any, list[Any]]]:
        """Returns the rescaling, Flatten and the Dense layers, without dropout, which acts only in training."""
        flatten = keras.layers.Flatten(dtype=weights.parameters["logits"]["bias"].dtype.name)
        return [(rescaling, []), (flatten, []), *self._layers.keras(keras, weights.parameters)]

    def pruned(self, weights: Weights, *, drop_inputs: bool = False) -> Pruned:
        """Returns the MLP of the units that are needed."""
        parameters, found = self._layers.pruned(weights.parameters)
        model = dataclasses.replace(self, hidden=tuple(len(kept) for kept in found.kept))
        if drop_inputs:
            model = dataclasses.replace(model, input_shape=(len(found.used_inputs),))
            first = self._layers.names[0]
            parameters[first]["kernel"] = tf.gather(parameters[first]["kernel"], found.used_inputs)
        kept = zip(found.kept, self.hidden, strict=True)
        return Pruned(model, Weights(parameters), dict(zip(self._layers.names, kept, strict=False)), found.used_inputs)
