"""The array that a penalty is of in a layer: its kernel, or kernel and bias as one."""

from __future__ import annotations

import tensorflow as tf

from reglab.core.penalties import Penalty


def joined(penalty: Penalty, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """Returns the array that the penalty is of.

    If it covers biases, and there is one, these are the kernel's entries and the bias as a matrix, [entries of a unit,
    units], the bias last; otherwise it is the kernel.
    """
    if bias is None or not penalty.covers_bias:
        return kernel
    return tf.concat([tf.reshape(kernel, [-1, kernel.shape[-1]]), bias[None]], 0)


def apart(penalty: Penalty, w: tf.Tensor, kernel: tf.Tensor,
          bias: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Inverts `joined`: returns the parts of `w` that are shaped like the kernel and the bias, None if not covered."""
    if bias is None or not penalty.covers_bias:
        return w, None
    return tf.reshape(w[:-1], kernel.shape), w[-1]
