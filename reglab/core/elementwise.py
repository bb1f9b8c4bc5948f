"""TensorFlow functions rewritten, value for value, with operations that XLA's front end translates by itself.

For every `tf.nn.relu` and `tf.sign` in a program, the front end starts a separate compiler, which takes 8 to 15 ms: a
seventh of the time a small network waits before its first step.
"""

from __future__ import annotations

from collections.abc import Callable

from reglab.core.lazily import tf


def relu(x: tf.Tensor) -> tf.Tensor:
    """Computes max(x, 0), shaped like x, with derivative 0 at 0."""
    def value_and_gradient(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.maximum(x, 0), lambda upstream: tf.where(x > 0, upstream, tf.zeros([], x.dtype))
    return tf.custom_gradient(value_and_gradient)(x)


def sign(x: tf.Tensor) -> tf.Tensor:
    """Computes 1 where x > 0, −1 where x < 0, and otherwise x itself (0 or NaN); shaped like x."""
    one = tf.ones([], x.dtype)
    return tf.where(x > 0, one, tf.where(x < 0, -one, x))
