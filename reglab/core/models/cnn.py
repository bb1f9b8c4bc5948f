"""A small convolutional network, with batch normalization and dropout."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final

from reglab.core.elementwise import relu
from reglab.core.lazily import tf
from reglab.core.models.base import ArrayInfo, Mode, Model, Pruned, Settings, parameter_dtype, product_dtype
from reglab.core.models.dense import DenseLayers, glorot_uniform, matmul
from reglab.core.models.normalization import EPSILON, MOMENTUM, batch_norm
from reglab.core.models.random import dropout
from reglab.core.parameters import Buffers, Parameters, Weights

CHANNELS: Final = (16, 32)
_WINDOW: Final = 3


@dataclasses.dataclass(frozen=True)
class CNN(Model):
    """Two convolutional blocks followed by `DenseLayers`, with dropout after each hidden one.

    Block i is conv_i (3x3, padded, no bias), norm_i (batch normalization), ReLU, and 2x2 max pooling.

    Attributes:
      input_shape: [height, width] or [height, width, channels], at least 4x4.
      dropout: the fraction of the outputs of each hidden Dense layer that is set to 0 in training.
    """

    name = "cnn"
    help = ("twice a convolution 3x3 (16, then 32 channels), batch normalization, ReLU and 2x2 max pooling, then the "
            "same Dense layers")
    least_input = (4, 4)
    sized_by = "hidden"

    input_shape: tuple[int, ...]
    hidden: tuple[int, ...]
    classes: int
    activation: str = "relu"
    dropout: float = 0.0
    dtype: Any = "float32"
    product_dtype: Any = None

    @classmethod
    def configured(cls, settings: Settings, input_shape: tuple[int, ...], classes: int) -> CNN:
        """Returns the network for a configuration.

        Raises:
          ValueError: the examples are not images of at least 4x4 pixels.
        """
        if len(input_shape) not in (2, 3) or min(input_shape[:2]) < 4:
            raise ValueError("it takes images of at least 4x4 pixels, and the data have examples of "
                             f"{'x'.join(map(str, input_shape))}: give --model=mlp")
        return cls(input_shape, settings.hidden, classes, settings.activation, settings.dropout,
                   parameter_dtype(settings.precision), product_dtype(settings.precision))

    @property
    def draws(self) -> bool:
        """True if there is dropout."""
        return self.dropout > 0 and bool(self.hidden)

    @property
    def _image(self) -> tuple[int, int, int]:
        height, width = self.input_shape[:2]
        return height, width, math.prod(self.input_shape[2:])

    @property
    def _dense(self) -> DenseLayers:
        height, width, _ = self._image
        for _ in CHANNELS:
            height, width = height // 2, width // 2
        return DenseLayers(height * width * CHANNELS[-1], self.hidden, self.classes, self.activation, self.dtype,
                           self.product_dtype)

    @property
    def arrays(self) -> tuple[ArrayInfo, ...]:
        """Per block a kernel [3, 3, inputs, outputs] and scale, offset, mean, variance [outputs]; then the Dense."""
        told: list[ArrayInfo] = []
        for i, (inputs, outputs) in enumerate(zip((self._image[2], *CHANNELS), CHANNELS, strict=False)):
            told.append(ArrayInfo(f"conv_{i}/kernel", f"conv_{i}", "kernel", "Conv2D",
                                  (_WINDOW, _WINDOW, inputs, outputs)))
            told += [ArrayInfo(f"norm_{i}/{name}", f"norm_{i}", role, "BatchNormalization", (outputs,))
                     for name, role in (("scale", "scale"), ("offset", "offset"), ("mean", "buffer"),
                                        ("variance", "buffer"))]
        return (*told, *self._dense.arrays)

    def initialize(self, seed: int) -> Weights:
        """Initializes kernels Glorot-uniform, scale and variance with 1, offset, mean and biases with 0."""
        parameters, buffers = self._dense.initialize(seed, len(CHANNELS)), {}
        kernels = [array for array in self.arrays if array.layer_kind == "Conv2D"]
        for i, (kernel, outputs) in enumerate(zip(kernels, CHANNELS, strict=True)):
            ones, zeros = tf.ones([outputs], self.dtype), tf.zeros([outputs], self.dtype)
            parameters[kernel.layer] = {"kernel": glorot_uniform(kernel.shape, (seed, i), self.dtype)}
            parameters[f"norm_{i}"] = {"scale": ones, "offset": zeros}
            buffers[f"norm_{i}"] = {"mean": zeros, "variance": ones}
        return Weights(parameters, buffers)

    def apply(self, parameters: Parameters, buffers: Buffers, x: tf.Tensor, mode: Mode) -> tuple[tf.Tensor, Buffers]:
        """Returns the [examples, classes] logits of images, and the buffers, whose averages move in training."""
        x, after = tf.reshape(x, [-1, *self._image]), {}
        for i in range(len(CHANNELS)):
            x = convolved(x, parameters[f"conv_{i}"]["kernel"], self.product_dtype)
            x, after[f"norm_{i}"] = batch_norm(parameters, buffers, f"norm_{i}", x, mode)
            x = pooled(relu(x))
        dense = self._dense
        logits = dense.apply(parameters, tf.reshape(x, [-1, dense.features]),
                             lambda x, layer: dropout(x, self.dropout, mode, layer))
        return logits, after

    def describe(self) -> str:
        """Describes the channels, the widths, the activation and any dropout."""
        dense = "-".join(map(str, (self._dense.features, *self.hidden, self.classes)))
        rate = f", dropout {self.dropout:g}" if self.draws else ""
        return (f"CNN, convolutions 3x3 of {' and '.join(map(str, CHANNELS))} channels, then {dense}, "
                f"{self.activation}{rate}")

    def keras_layers(self, keras: Any, weights: Weights, rescaling: Any) -> list[tuple[Any, list[Any]]]:
        """Returns the network as Keras layers, without dropout, which acts only in training."""
        (parameters, buffers), layers = weights, keras.layers
        dtype = parameters["logits"]["bias"].dtype.name
        chain: list[tuple[Any, list[Any]]] = [(rescaling, []), (layers.Reshape(self._image, dtype=dtype), [])]
        for i, outputs in enumerate(CHANNELS):
            norm, moving = parameters[f"norm_{i}"], buffers[f"norm_{i}"]
            chain += [
                (layers.Conv2D(outputs, _WINDOW, padding="same", use_bias=False, name=f"conv_{i}", dtype=dtype),
                 [parameters[f"conv_{i}"]["kernel"]]),
                (layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"norm_{i}", dtype=dtype),
                 [norm["scale"], norm["offset"], moving["mean"], moving["variance"]]),
                (layers.ReLU(dtype=dtype), []), (layers.MaxPooling2D(2, dtype=dtype), [])]
        return [*chain, (layers.Flatten(dtype=dtype), []), *self._dense.keras(keras, parameters)]

    def pruned(self, weights: Weights, *, drop_inputs: bool = False) -> Pruned:
        """Returns the network of the Dense units that are needed; all channels stay, and so all inputs are used."""
        del drop_inputs
        parameters, found = self._dense.pruned(weights.parameters)
        model = dataclasses.replace(self, hidden=tuple(len(kept) for kept in found.kept))
        kept = zip(found.kept, self.hidden, strict=True)
        return Pruned(model, Weights({**weights.parameters, **parameters}, weights.buffers),
                      dict(zip(self._dense.names, kept, strict=False)), None)

    @property
    def flops(self) -> int:
        """Those of the Dense layers, and of the convolutions: each entry of a kernel counts at every pixel."""
        (height, width, _), count = self._image, 0
        for array in self.arrays:
            if array.layer_kind == "Conv2D":
                count, height, width = count + 2 * array.size * height * width, height // 2, width // 2
        return count + 2 * sum(array.size for array in self._dense.arrays if array.role == "kernel")

    @property
    def activations(self) -> int:
        """An estimate: the outputs of the convolutions, their unrolled windows, and the outputs of the Dense layers."""
        (height, width, inputs), count = self._image, sum((*self.hidden, self.classes))
        for outputs in CHANNELS:
            count += height * width * (_WINDOW**2 * inputs + 3 * outputs)
            height, width, inputs = height // 2, width // 2, outputs
        return count


def convolved(x: tf.Tensor, kernel: tf.Tensor, product_dtype: Any) -> tf.Tensor:
    """Convolves `x` [examples, height, width, inputs], zero-padded, to [examples, height, width, outputs].

    Computed as one matrix product over the unrolled windows, because that also works with a different kernel per lane.

    Args:
      kernel: [3, 3, inputs, outputs].
    """
    height, width, inputs = x.shape[1:]
    padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    windows = tf.concat([padded[:, row:row + height, column:column + width]
                         for row in range(_WINDOW) for column in range(_WINDOW)], axis=-1)
    product = matmul(tf.reshape(windows, [-1, _WINDOW**2 * inputs]), tf.reshape(kernel, [-1, kernel.shape[-1]]),
                     product_dtype)
    return tf.reshape(product, [-1, height, width, kernel.shape[-1]])


def pooled(x: tf.Tensor) -> tf.Tensor:
    """2x2 max pooling: [examples, height // 2, width // 2, channels]; an odd last row or column is dropped."""
    height, width, channels = x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
    pairs = tf.reshape(x[:, :2 * height, :2 * width], [-1, height, 2, width, 2, channels])
    return tf.reduce_max(pairs, [2, 4])

