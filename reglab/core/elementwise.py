"""Functions of TensorFlow's, value for value, from operations that XLA's front end translates by itself.

For `tf.nn.relu` and `tf.sign` it starts a compiler of its own each time that one occurs in a program, 8 to
15 ms: a seventh of what a small network waits for before its first step.
"""

from __future__ import annotations

from collections.abc import Callable

from reglab.core.lazily import tf


def relu(x: tf.Tensor) -> tf.Tensor:
    """max(x, 0), shaped like x, with derivative 0 at 0."""
    def value_and_gradient(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.maximum(x, 0), lambda upstream: tf.where(x > 0, upstream, tf.zeros([], x.dtype))
    return tf.custom_gradient(value_and_gradient)(x)


def sign(x: tf.Tensor) -> tf.Tensor:
    """1 where x > 0, −1 where x < 0, else x itself, which is 0 or NaN; shaped like x."""
    one = tf.ones([], x.dtype)
    return tf.where(x > 0, one, tf.where(x < 0, -one, x))
