"""What this device takes for the work no step can do without: the roofline that a step is measured against.

It is the matrix products of a step's shapes (compiled by XLA or by TensorFlow's own kernels, whichever is faster) and
one pass over the memory of the optimizer (compiled by XLA), each alone in a loop. What a step does besides (batches,
biases, activations, loss, penalties) is not in it, so a share of 1 is out of reach.
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
    """Floating-point operations in the products of a step: forward and, twice that, backward.

    The first layer needs no gradient for its input.
    """
    sizes = [inputs * units for inputs, units in zip(widths, widths[1:], strict=False)]
    return 2 * batch_size * (3 * sum(sizes) - sizes[0])


@dataclasses.dataclass(frozen=True)
class Limit:
    """The work of one device in one step.

    Attributes:
      widths: of the network: features, hidden layers, classes.
      batch_size: examples a step on this device.
      optimizer: the rule whose memory is passed over.
      dtype: of parameters and optimizer.
      product_dtype: of the products.
    """

    widths: tuple[int, ...]
    batch_size: int
    optimizer: Optimizer
    dtype: tf.DType
    product_dtype: tf.DType

    def runs(self) -> dict[str, Steps]:
        """What is to be timed: the products by XLA and by TensorFlow's kernels, and the optimizer's pass."""
        return {PRODUCTS[0]: self._looped(self._products, self._operands(), jit=True),
                PRODUCTS[1]: self._looped(self._products, self._operands(), jit=False),
                OPTIMIZER: self._looped(self._pass, self._memory(), jit=True)}

    def _looped(self, body: Callable[..., Any], arrays: Any, *, jit: bool) -> Steps:
        """`body(i, arrays)` to new arrays, in a loop within one call."""
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
        # One entry changes each time, or a compiler would see that the products do not, and take them out of the loop.
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
        parameters, slots = self.optimizer.update(gradients, slots, parameters, tf.cast(i, tf.int64),
                                                  tf.constant(1e-3, self.dtype))
        return parameters, slots, gradients
