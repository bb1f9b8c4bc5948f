"""The losses against those of Keras, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.core.losses import cross_entropy, smoothed_cross_entropy

LOGITS = np.random.default_rng(0).normal(scale=3.0, size=(5, 4))
LABELS = np.array([0, 3, 1, 1, 2], np.int32)


@pytest.mark.parametrize("smoothing", [0.125, 0.875])
def test_smoothed_cross_entropy_and_its_gradient_are_those_of_keras(smoothing: float, keras64: Any) -> None:
    theirs = keras64.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction="none")
    logits = tf.constant(LOGITS)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        ours = smoothed_cross_entropy(logits, tf.constant(LABELS), smoothing)
        expected = theirs(tf.one_hot(LABELS, 4, dtype=tf.float64), logits)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    np.testing.assert_allclose(tape.gradient(ours, logits), tape.gradient(expected, logits), rtol=1e-9, atol=1e-15)


def test_without_smoothing_it_is_the_cross_entropy_to_the_bit() -> None:
    logits, labels = tf.constant(LOGITS, tf.float32), tf.constant(LABELS)
    np.testing.assert_array_equal(smoothed_cross_entropy(logits, labels, 0.0), cross_entropy(logits, labels))
