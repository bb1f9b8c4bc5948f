"""The time this device needs for the work that no step can avoid: the limit against which a step is measured.

That work consists of the matrix products of a step's shapes (compiled by XLA or run by TensorFlow's own kernels,
whichever is faster) and one pass over the optimizer's memory (compiled by XLA), each alone in a loop. The rest of a
step (batches, biases, activations, loss, penalties) is not included, so a share of 1 cannot be reached.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import tensorflow as tf

from reglab.benchmark.timing import Steps
from reglab.core.optimizers import Optimizer
from reglab.engine.replicas import traced

PRODUCTS: Final = ("products by XLA", "products by TensorFlow")
OPTIMIZER: Final = "optimizer"


def step_flops(widths: Sequence[int], batch_size: int) -> int:
    """The floating-point operations in the products of a step: forward and, twice as many, backward.

    The first layer does not need the gradient of its input: 2 · batch_size · (3 · Σ inputs·units − those of layer 0).
    """
    sizes = [inputs * units for inputs, units in zip(widths, widths[1:], strict=False)]
    return 2 * batch_size * (3 * sum(sizes) - sizes[0])


@dataclasses.dataclass(frozen=True)
class Limit:
    """The work of one device in one step.

    Attributes:
      widths: the widths of the network: features, hidden layers, classes.
      batch_size: the number of examples per step on this device.
      optimizer: the update rule whose memory is passed over.
      dtype: the dtype of parameters and optimizer.
      product_dtype: the dtype of the matrix products.
    """

    widths: tuple[int, ...]
    batch_size: int
    optimizer: Optimizer
    dtype: tf.DType
    product_dtype: tf.DType

    def runs(self) -> dict[str, Steps]:
        """Returns what is timed: the products by XLA and by TensorFlow's kernels, and the optimizer's pass."""
        return {PRODUCTS[0]: self._looped(self._products, self._operands(), jit=True),
                PRODUCTS[1]: self._looped(self._products, self._operands(), jit=False),
                OPTIMIZER: self._looped(self._pass, self._memory(), jit=True)}

    def _looped(self, body: Callable[..., Any], arrays: Any, *, jit: bool) -> Steps:
        """Returns a function that applies `arrays = body(i, arrays)` repeatedly, in a loop within one call."""
        def loop(arrays: Any, steps: tf.Tensor) -> Any:
            return tf.while_loop(lambda i, _: i < steps, lambda i, now: (i + 1, body(i, now)), (0, arrays))[1]

        function = traced(loop, jit)

        def run(steps: int) -> None:
            for array in tf.nest.flatten(function(arrays, tf.constant(steps))):
                _ = array[..., :1].numpy()  # Waits for the device.

        return run

    def _operands(self) -> tuple[Any, ...]:
        pairs = list(zip(self.widths, self.widths[1:], strict=False))
        kernels = [tf.cast(tf.random.stateless_normal(pair, (0, k)) / math.sqrt(pair[0]), self.product_dtype)
                   for k, pair in enumerate(pairs)]
        x = tf.cast(tf.random.stateless_uniform((self.batch_size, self.widths[0]), (1, 0)), self.product_dtype)
        return x, tuple(kernels), tuple(tf.zeros_like(kernel) for kernel in kernels)

    def _products(self, i: tf.Tensor, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        x, kernels, _ = arrays
        # One entry changes at each step; otherwise the compiler could move the constant products out of the loop.
        x = tf.tensor_scatter_nd_update(x, [[0, 0]], [tf.cast(i % 2, x.dtype)])
        inputs = [x]
        for kernel in kernels:
            inputs.append(tf.matmul(inputs[-1], kernel))
        delta = inputs[-1]
        gradients: list[tf.Tensor] = []
        for k in reversed(range(len(kernels))):
            gradients.insert(0, tf.matmul(inputs[k], delta, transpose_a=True))
            if k:
                delta = tf.matmul(delta, kernels[k], transpose_b=True)
        return x, kernels, tuple(gradients)

    def _memory(self) -> tuple[Any, ...]:
        count = sum((inputs + 1) * units for inputs, units in zip(self.widths, self.widths[1:], strict=False))
        parameters = {"all": {"bias": tf.random.stateless_normal([count], (2, 0), dtype=self.dtype)}}
        gradients = {"all": {"bias": tf.random.stateless_normal([count], (2, 1), dtype=self.dtype)}}
        return parameters, self.optimizer.slots(parameters), gradients

    def _pass(self, i: tf.Tensor, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        parameters, slots, gradients = arrays
        parameters, slots, _ = self.optimizer.update(gradients, slots, parameters, tf.cast(i, tf.int64),
                                                     tf.constant(1e-3, self.dtype))
        return parameters, slots, gradients
