"""The network against a Keras Sequential with the same weights, and its initialization against Glorot's formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import ACTIVATIONS, ConfigError
from reglab.config.selection import penalized_layers
from reglab.core.models import EVALUATION, ArrayInfo, Model
from reglab.core.models.dense import ACTIVATIONS as FUNCTIONS
from reglab.core.models.mlp import MLP
from reglab.core.parameters import Parameters


def inputs(examples: int = 9, features: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(examples, features))


def logits_of(model: MLP, parameters: Parameters, x: Any) -> tf.Tensor:
    return model.apply(parameters, {}, tf.convert_to_tensor(x), EVALUATION)[0]


def with_biases(parameters: Parameters) -> Parameters:
    """The same kernels with nonzero biases."""
    rng = np.random.default_rng(1)
    return {layer: {"kernel": arrays["kernel"],
                    "bias": tf.constant(rng.normal(size=arrays["bias"].shape), arrays["bias"].dtype)}
            for layer, arrays in parameters.items()}


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_logits_are_those_of_a_keras_sequential(hidden: tuple[int, ...], activation: str, keras64: Any) -> None:
    model = MLP((6,), hidden, 3, activation=activation, dtype=tf.float64)
    parameters = with_biases(model.initialize(0).parameters)
    theirs = keras64.Sequential([keras64.Input((6,))]
                                + [keras64.layers.Dense(width, activation=activation) for width in hidden]
                                + [keras64.layers.Dense(3)])
    theirs.set_weights([array.numpy() for layer in model.dense_layers
                        for array in (parameters[layer]["kernel"], parameters[layer]["bias"])])
    np.testing.assert_allclose(logits_of(model, parameters, inputs()), theirs(inputs()), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_activation_is_that_of_keras(name: str, keras64: Any) -> None:
    x = tf.constant(np.linspace(-6, 6, 101))
    np.testing.assert_allclose(FUNCTIONS[name](x), keras64.activations.get(name)(x), rtol=1e-13, atol=1e-15)
    model = MLP((1,), (1,), 2, activation=name, dtype=tf.float64)
    one = tf.ones([1, 1], tf.float64)
    parameters = {"dense_0": {"kernel": one, "bias": tf.zeros([1], tf.float64)},
                  "logits": {"kernel": tf.ones([1, 2], tf.float64), "bias": tf.zeros([2], tf.float64)}}
    np.testing.assert_array_equal(logits_of(model, parameters, x[:, None])[:, 0], FUNCTIONS[name](x))


def test_without_hidden_layers_it_is_softmax_regression() -> None:
    model = MLP((6,), (), 3, dtype=tf.float64)
    assert model.dense_layers == ("logits",)
    parameters = with_biases(model.initialize(0).parameters)
    expected = inputs() @ parameters["logits"]["kernel"].numpy() + parameters["logits"]["bias"].numpy()
    np.testing.assert_allclose(logits_of(model, parameters, inputs()), expected, rtol=1e-13)


def test_layers_and_shapes_are_as_documented() -> None:
    model = MLP((6,), (5, 4), 3)
    assert model.dense_layers == ("dense_0", "dense_1", "logits")
    shapes = {layer: [tuple(array.shape) for array in arrays.values()]
              for layer, arrays in model.initialize(0).parameters.items()}
    assert shapes == {"dense_0": [(6, 5), (5,)], "dense_1": [(5, 4), (4,)], "logits": [(4, 3), (3,)]}


def test_one_seed_gives_one_network() -> None:
    for first, again in zip(tf.nest.flatten(MLP((6,), (5,), 3).initialize(7)),
                            tf.nest.flatten(MLP((6,), (5,), 3).initialize(7)), strict=True):
        np.testing.assert_array_equal(first, again)


# Obtained with TensorFlow 2.21.
GOLDEN = [[0.4608085486734472, -0.2437055799972948], [-0.9584616306488964, -0.08450649885454009]]


def test_the_first_weights_stay_what_they_were_in_every_version() -> None:
    kernel = MLP((2,), (), 2, dtype=tf.float64).initialize(0).parameters["logits"]["kernel"]
    np.testing.assert_allclose(kernel, GOLDEN, rtol=1e-14)


def test_seeds_and_layers_draw_apart() -> None:
    square = MLP((4,), (4, 4), 4, dtype=tf.float64)
    kernels = [arrays["kernel"].numpy().ravel() for seed in range(3)
               for arrays in square.initialize(seed).parameters.values()]
    assert len(np.unique(np.concatenate(kernels))) == 9 * 16


def test_kernels_follow_glorot_and_biases_start_at_0() -> None:
    parameters = MLP((100,), (150,), 10, dtype=tf.float64).initialize(3).parameters
    for arrays in parameters.values():
        kernel = arrays["kernel"].numpy()
        limit = math.sqrt(6 / sum(kernel.shape))
        assert np.abs(kernel).max() <= limit
        assert np.abs(kernel).max() > 0.99 * limit
        deviation = 4 / math.sqrt(kernel.size)  # Four standard errors.
        assert abs(kernel.mean()) < deviation * limit / math.sqrt(3)
        assert abs(kernel.var() / (limit**2 / 3) - 1) < deviation
        assert not np.any(arrays["bias"])


def test_precision_changes_only_the_rounding_of_the_first_weights() -> None:
    exact, rounded = (MLP((6,), (5,), 3, dtype=dtype).initialize(5).parameters for dtype in (tf.float64, tf.float32))
    for a, b in zip(tf.nest.flatten(exact), tf.nest.flatten(rounded), strict=True):
        assert b.dtype == tf.float32
        np.testing.assert_array_equal(a.numpy().astype(np.float32), b)


def test_bfloat16_products_keep_float32_logits_with_a_bounded_error() -> None:
    x = tf.constant(inputs(64), tf.float32)
    exact, rough = MLP((6,), (32,), 3), MLP((6,), (32,), 3, product_dtype=tf.bfloat16)
    parameters = with_biases(exact.initialize(0).parameters)
    logits = logits_of(rough, parameters, x)
    error = np.abs(logits - logits_of(exact, parameters, x)).max()
    assert logits.dtype == tf.float32
    assert 0 < error < 0.05  # bfloat16 has 8 bits: each factor, product and sum is rounded by at most 2**-9.
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        loss = tf.reduce_sum(tf.square(logits_of(rough, parameters, x)))
    assert {gradient.dtype for gradient in tf.nest.flatten(tape.gradient(loss, parameters))} == {tf.float32}


LAYERS = ("dense_0", "dense_1", "dense_10", "logits")


def with_layers(names: tuple[str, ...]) -> Model:
    """A model that has only these Dense layers."""
    class Named(MLP):
        arrays = tuple(ArrayInfo(f"{name}/kernel", name, "kernel", "Dense", (2, 2)) for name in names)
    return Named((2,), (), 2)


@pytest.mark.parametrize(("penalize", "chosen"), [
    ("all", LAYERS), ("hidden", LAYERS[:3]), ("dense_1", ("dense_1",)), ("dense_[01]", ("dense_0", "dense_1")),
    ("dense_.*", LAYERS[:3]), ("logits|dense_0", ("dense_0", "logits")), (".*", LAYERS)])
def test_penalized_layers_are_all_hidden_or_a_full_match(penalize: str, chosen: tuple[str, ...]) -> None:
    assert penalized_layers(with_layers(LAYERS), penalize) == chosen


@pytest.mark.parametrize(("layers", "penalize", "nearest"), [
    (LAYERS, "dense", "dense_0"), (LAYERS, "ense_0", "dense_0"), (LAYERS, "DENSE_0", "dense_0"), (LAYERS, "", ""),
    (("logits",), "hidden", "")])
def test_a_choice_of_no_layer_is_refused_with_the_layers_there_are(layers: tuple[str, ...], penalize: str,
                                                                   nearest: str) -> None:
    hint = f"; did you mean {nearest}\\?" if nearest else ""
    with pytest.raises(ConfigError, match=f"^--penalize={penalize} .*{', '.join(layers)}{hint}$"):
        penalized_layers(with_layers(layers), penalize)
