"""The average of the weights against the weighted mean it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from reglab.core.averaging import averaged, first_average, next_average
from reglab.core.parameters import Weights


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-6)])
@pytest.mark.parametrize("decay", [0.5, 0.9999, 1 - 1e-7])
def test_it_is_the_weighted_mean_of_the_weights_after_each_update(dtype: type, tolerance: float, decay: float) -> None:
    rng = np.random.default_rng(0)
    initial, *after = (rng.normal(5.0, 1.0, size=(8, 2, 3)).astype(dtype))
    buffers = [10 * array for array in after]
    slots = first_average(Weights({"a": {"kernel": tf.constant(initial)}}, {"b": {"mean": tf.constant(initial)}}))
    for step, (array, buffer) in enumerate(zip(after, buffers, strict=True)):
        slots = next_average(slots, {"a": {"kernel": tf.constant(array)}}, {"b": {"mean": tf.constant(buffer)}},
                             tf.constant(step, tf.int64), decay)
        shares = np.float64(decay) ** np.arange(step, -1, -1)
        expected = np.average(np.float64(after[:step + 1]), axis=0, weights=shares)
        found = averaged(slots)
        assert found is not None
        np.testing.assert_allclose(found.parameters["a"]["kernel"], expected, rtol=tolerance)
        np.testing.assert_allclose(found.buffers["b"]["mean"], 10 * expected, rtol=tolerance)


def test_without_buffers_there_is_no_average_of_them_and_without_an_average_none() -> None:
    weights = Weights({"a": {"kernel": tf.ones([2])}})
    assert [*first_average(weights)] == ["average"]
    assert averaged({"m": weights.parameters}) is None
