"""The losses of single examples: [examples] for logits [examples, classes] and labels [examples] int32."""

from __future__ import annotations

from typing import Final

import tensorflow as tf

SMOOTHED: Final = "smoothed_data_loss"
WEIGHTED: Final = "weighted_data_loss"
"""What the data loss that is trained on is called with label smoothing, and with class weights."""


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """CE in nats, in the dtype of the logits."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def smoothed_cross_entropy(logits: tf.Tensor, labels: tf.Tensor, smoothing: float) -> tf.Tensor:
    """CE in nats of 1 − ε of the label and ε/K of each of the K classes (Szegedy et al. 2016, section 7).

    Args:
      smoothing: ε, from 0 to less than 1; 0 gives the plain cross-entropy.
    """
    if not smoothing:
        return cross_entropy(logits, labels)
    rest = smoothing / logits.shape[-1]
    smoothed = tf.one_hot(labels, logits.shape[-1], 1 - smoothing + rest, rest, dtype=logits.dtype)
    return tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)


def correct(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """1 where the class of the largest logit is the label, else 0, in the dtype of the logits."""
    return tf.cast(tf.equal(tf.argmax(logits, -1, tf.int32), labels), logits.dtype)
