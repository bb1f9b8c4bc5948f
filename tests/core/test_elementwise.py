"""Functions written for XLA's front end, against TensorFlow's own: the same bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from reglab.core import elementwise

ENTRIES = [-np.inf, -3.5, -1e-30, -0.0, 0.0, 1e-30, 2.0, np.inf, np.nan]


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64, tf.bfloat16])
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("mine", "theirs"), [
    (elementwise.relu, tf.nn.relu), (elementwise.sign, tf.sign)])
def test_the_values_are_tensorflows(mine: Callable[[tf.Tensor], tf.Tensor], theirs: Callable[[tf.Tensor], tf.Tensor],
                                    jit: bool, dtype: tf.DType) -> None:
    x = tf.constant(np.array(ENTRIES), dtype)
    found, expected = (tf.function(function, jit_compile=jit)(x).numpy() for function in (mine, theirs))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.astype(np.float64), expected.astype(np.float64))


@pytest.mark.parametrize("jit", [False, True])
def test_the_gradient_of_relu_is_tensorflows(jit: bool) -> None:
    x = tf.constant(ENTRIES[:-1], tf.float64)
    upstream = tf.constant(np.arange(len(ENTRIES) - 1) - 3.0)

    def gradient(function: Callable[[tf.Tensor], tf.Tensor]) -> np.ndarray:
        def of_lane(lane: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(lane[0])
                y = function(lane[0])
            return tape.gradient(y, lane[0], lane[1])
        lanes = (tf.stack([x, -x]), tf.stack([upstream, upstream]))
        return tf.function(lambda lanes: tf.vectorized_map(of_lane, lanes), jit_compile=jit)(lanes).numpy()

    np.testing.assert_array_equal(gradient(elementwise.relu), gradient(tf.nn.relu))
