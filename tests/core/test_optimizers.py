"""Every optimizer against its namesake in Keras, the schedule against Keras' own, clipping against TensorFlow's."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import DEFAULT_WEIGHT_DECAY, OPTIMIZERS
from reglab.core.optimizers import SGD, Adam, Optimizer, clip_by_global_norm, make_optimizer
from reglab.core.parameters import Parameters, global_norm, map_arrays

SHAPES = {"dense_0": {"kernel": (4, 3), "bias": (3,)}, "logits": {"kernel": (3, 2), "bias": (2,)}}

# Keras rounds its coefficients to float32, even in float64; these are exact in float32.
BETA1, BETA2, MOMENTUM, DECAY, RATE = 0.875, 1 - 2.0**-10, 0.875, 2.0**-5, 2.0**-7
KERNELS = dict.fromkeys(SHAPES, "kernel")
PAIRS: dict[str, tuple[Optimizer, str, dict[str, float]]] = {
    "sgd": (SGD(), "SGD", {}),
    "momentum": (SGD(momentum=MOMENTUM), "SGD", {"momentum": MOMENTUM}),
    "adam": (Adam(beta1=BETA1, beta2=BETA2), "Adam", {"beta_1": BETA1, "beta_2": BETA2}),
    "adamw": (Adam(weight_decay=DECAY, decayed=KERNELS, beta1=BETA1, beta2=BETA2), "AdamW",
              {"beta_1": BETA1, "beta_2": BETA2, "weight_decay": DECAY}),
}


def made(seed: int, scale: float = 1.0, dtype: Any = np.float64) -> Parameters:
    rng = np.random.default_rng(seed)
    return {layer: {name: tf.constant(scale * rng.normal(size=shape), dtype) for name, shape in arrays.items()}
            for layer, arrays in SHAPES.items()}


def descend(optimizer: Optimizer, steps: int, dtype: Any = np.float64) -> list[Parameters]:
    """Returns the parameters after each of `steps` updates, with random gradients of varying size."""
    parameters = made(0, dtype=dtype)
    slots = optimizer.slots(parameters)
    update = tf.function(lambda *state: optimizer.update(*state)[:2])
    path = []
    for step in range(steps):
        parameters, slots = update(made(step + 1, 0.1 + step % 7, dtype), slots, parameters,
                                   tf.constant(step, tf.int64), tf.constant(RATE, dtype))
        path.append(parameters)
    return path


def keras_descend(keras: Any, optimizer: Any, steps: int) -> list[list[np.ndarray]]:
    variables = [keras.Variable(array.numpy(), name=name) for arrays in made(0).values()
                 for name, array in arrays.items()]
    optimizer.build(variables)
    apply = tf.function(lambda gradients: optimizer.apply(gradients, variables))
    path = []
    for step in range(steps):
        apply([array for arrays in made(step + 1, 0.1 + step % 7).values() for array in arrays.values()])
        path.append([variable.numpy() for variable in variables])
    return path


def flat(parameters: Parameters) -> list[np.ndarray]:
    return [array.numpy() for arrays in parameters.values() for array in arrays.values()]


def test_every_optimizer_of_the_configuration_is_tested() -> None:
    assert set(PAIRS) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", PAIRS)
def test_200_updates_are_those_of_keras(name: str, keras64: Any) -> None:
    ours, theirs, settings = PAIRS[name]
    reference = getattr(keras64.optimizers, theirs)(learning_rate=RATE, **settings)
    if "weight_decay" in settings:
        reference.exclude_from_weight_decay(var_names=["bias"])
    for mine, keras in zip(descend(ours, 200), keras_descend(keras64, reference, 200), strict=True):
        for a, b in zip(flat(mine), keras, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_the_defaults_are_those_of_keras() -> None:
    import keras

    ours, theirs = Adam(), keras.optimizers.Adam()
    assert (ours.beta1, ours.beta2, ours.epsilon) == (theirs.beta_1, theirs.beta_2, theirs.epsilon)
    assert keras.optimizers.AdamW().weight_decay == DEFAULT_WEIGHT_DECAY


@pytest.mark.parametrize(("name", "expected"), [
    ("sgd", SGD(0.0)), ("momentum", SGD(0.75)), ("adam", Adam(0.0)), ("adamw", Adam(0.5, decayed=KERNELS))])
def test_a_name_makes_the_optimizer_with_its_own_settings_only(name: str, expected: Optimizer) -> None:
    assert make_optimizer(name, momentum=0.75, weight_decay=0.5, decayed=KERNELS) == expected


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        make_optimizer("lbfgs")


@pytest.mark.parametrize(("name", "slots"), [("sgd", set()), ("momentum", {"velocity"}), ("adam", {"m", "v"}),
                                             ("adamw", {"m", "v"})])
def test_slots_are_zeros_like_the_parameters_and_an_update_keeps_their_structure(name: str, slots: set[str]) -> None:
    optimizer, parameters = make_optimizer(name, weight_decay=0.1, decayed=KERNELS), made(0, dtype=np.float32)
    fresh = optimizer.slots(parameters)
    assert set(fresh) == slots
    _, after, _ = optimizer.update(made(1, dtype=np.float32), fresh, parameters, tf.constant(0, tf.int64),
                                   tf.constant(0.1))
    for structures in (fresh, after):
        for structure in structures.values():
            assert map_arrays(lambda a: (a.dtype, a.shape), structure) == map_arrays(
                lambda a: (a.dtype, a.shape), parameters)
    assert all(not np.any(array) for structure in fresh.values() for array in flat(structure))


def test_adamw_shrinks_kernels_and_never_biases() -> None:
    parameters, nothing = made(0), map_arrays(tf.zeros_like, made(0))
    optimizer = Adam(weight_decay=0.5, decayed=KERNELS)
    after, *_ = optimizer.update(nothing, optimizer.slots(parameters), parameters, tf.constant(0, tf.int64),
                                 tf.constant(0.25, tf.float64))
    for layer, arrays in parameters.items():
        np.testing.assert_allclose(after[layer]["kernel"], arrays["kernel"] * (1 - 0.25 * 0.5), rtol=1e-15)
        np.testing.assert_array_equal(after[layer]["bias"], arrays["bias"])


def test_the_first_step_of_adam_is_the_sign_times_the_rate() -> None:
    parameters, gradients, optimizer = made(0), made(1), Adam(epsilon=0.0)
    after, *_ = optimizer.update(gradients, optimizer.slots(parameters), parameters, tf.constant(0, tf.int64),
                                 tf.constant(0.25, tf.float64))
    for before, moved, gradient in zip(flat(parameters), flat(after), flat(gradients), strict=True):
        np.testing.assert_allclose(moved, before - 0.25 * np.sign(gradient), rtol=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_float32_stays_float32_and_near_float64(name: str) -> None:
    optimizer = PAIRS[name][0]
    for exact, rounded in zip(flat(descend(optimizer, 20)[-1]), flat(descend(optimizer, 20, np.float32)[-1]),
                              strict=True):
        assert rounded.dtype == np.float32
        np.testing.assert_allclose(rounded, exact, atol=1e-5)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("bound", [0.5, 3.0])
def test_clipping_is_that_of_tensorflow_and_keras(scale: float, bound: float, keras64: Any) -> None:
    gradients = made(3, scale)
    ours = clip_by_global_norm(gradients, bound)
    theirs, norm = tf.clip_by_global_norm(tf.nest.flatten(gradients), bound)
    np.testing.assert_allclose(global_norm(gradients), norm, rtol=1e-14)
    for a, b in zip(tf.nest.flatten(ours), theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    np.testing.assert_allclose(global_norm(ours), min(norm.numpy(), bound), rtol=1e-13)
    optimizer = keras64.optimizers.SGD(1.0, global_clipnorm=bound)
    variables = [keras64.Variable(np.zeros(array.shape)) for array in flat(gradients)]
    optimizer.apply([tf.constant(array) for array in flat(gradients)], variables)
    for array, variable in zip(flat(ours), variables, strict=True):
        np.testing.assert_allclose(array, -variable.numpy(), rtol=1e-13)


def test_short_gradients_pass_the_clip_bit_by_bit_and_zero_ones_stay_zero() -> None:
    gradients, nothing = made(3, 0.01), map_arrays(tf.zeros_like, made(3))
    for before, after in zip(flat(gradients), flat(clip_by_global_norm(gradients, 100.0)), strict=True):
        np.testing.assert_array_equal(before, after)
    assert not any(np.any(array) for array in flat(clip_by_global_norm(nothing, 0.5)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adam_beyond_the_whole_numbers_of_float32_is_exact(dtype: Any) -> None:
    """At these steps β^t has long been 0, so it does not matter that float32 cannot represent every t."""
    gradients, parameters = made(1, dtype=dtype), made(2, dtype=dtype)
    rate = tf.constant(0.125, dtype)
    for step in (2**24 - 1, 2**24, 2**24 + 1, 2**31 - 1, 2**31, 2**31 + 1):
        m, v = made(3, dtype=dtype), map_arrays(tf.abs, made(4, dtype=dtype))
        ours, *_ = Adam().update(gradients, {"m": m, "v": v}, parameters, tf.constant(step, tf.int64), rate)
        for g, w, m_, v_, new in zip(*map(flat, (gradients, parameters, m, v, ours)), strict=True):
            g, w, m_, v_ = (np.asarray(a, np.float64) for a in (g, w, m_, v_))
            m_, v_ = m_ + (g - m_) * 0.1, v_ + (g * g - v_) * 0.001
            expected = w - 0.125 * m_ / (np.sqrt(v_) + 1e-7)  # The bias correction is 1.
            np.testing.assert_allclose(new, expected, rtol=1e-5 if dtype == np.float32 else 1e-13, atol=1e-7)


def test_every_optimizer_declares_the_signature_of_the_protocol() -> None:
    wanted = list(inspect.signature(Optimizer.update).parameters)
    assert all(list(inspect.signature(type(pair[0]).update).parameters) == wanted for pair in PAIRS.values())
