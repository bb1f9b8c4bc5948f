"""The CNN against Keras in float64; the same over replicas, padding, lanes, resuming and export."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config, ConfigError
from reglab.config.selection import make_model, penalized_layers
from reglab.core.models import EVALUATION, Mode
from reglab.core.models.cnn import CNN
from reglab.core.models.random import threefry
from reglab.core.parameters import Weights, map_arrays
from reglab.core.step import Batch, step_seed
from reglab.data import Dataset, Examples
from reglab.engine.assembly import make_step
from reglab.export import export
from reglab.lab.lanes import Lane, LaneTrainer
from reglab.run.loop import Interrupted, fit

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
ROOT = pathlib.Path(__file__).parents[2]
SHAPE = (6, 5, 2)
CONFIG = Config(model="cnn", hidden=(7,), dropout=0.25, precision="float64", epochs=2, batch_size=8, l1=1e-3, l2=1e-3,
                learning_rate=0.01, summary_every=3)


@pytest.fixture(scope="module")
def images() -> Dataset:
    """53 training and 20 validation images, so that the last batch is ragged."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(73, 60)).astype(np.float32)
    y = (x @ rng.normal(size=(60, 3))).argmax(1).astype(np.int32)
    return Dataset("images", Examples(x[:53], y[:53]), Examples(x[53:], y[53:]), 3, SHAPE, 1.0)


@pytest.fixture(autouse=True)
def shared(shared_compilation: None) -> Iterator[None]:
    yield


def made(dropout: float = 0.0) -> tuple[CNN, Weights]:
    """A network in which every array differs from its initial value."""
    model, rng = CNN(SHAPE, (7,), 3, activation="tanh", dropout=dropout, dtype="float64"), np.random.default_rng(1)
    return model, map_arrays(lambda array: array + rng.uniform(0.1, 0.5, array.shape), model.initialize(3))


def some_batch(examples: int = 9, padding: int = 0) -> Batch:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(examples + padding, *SHAPE)), rng.integers(0, 3, examples + padding)
    weights = np.repeat([1.0, 0.0], [examples, padding])
    return Batch(tf.constant(x), tf.constant(y, tf.int32), tf.constant(weights),
                 tf.constant(float(examples), tf.float64), tf.range(examples + padding))


def as_keras(keras: Any, model: CNN, weights: Weights) -> Any:
    chain = model.keras_layers(keras, weights, keras.layers.Rescaling(1.0))
    made = keras.Sequential([keras.Input(SHAPE)])
    for layer, arrays in chain:
        made.add(layer)
        layer.set_weights([array.numpy() for array in arrays])
    return made


def test_logits_gradient_and_moving_averages_are_those_of_keras(keras64: Any) -> None:
    (model, weights), batch = made(), some_batch()
    step = dataclasses.replace(make_step(CONFIG, tiny()), model=model)
    theirs = as_keras(keras64, model, weights)
    ours, kept = model.apply(*weights, batch.x, EVALUATION)
    np.testing.assert_allclose(ours, theirs(batch.x, training=False), rtol=1e-12, atol=1e-13)
    assert kept["norm_0"]["mean"] is weights.buffers["norm_0"]["mean"]
    _, gradient, after = step.data_gradient(weights.parameters, batch, weights.buffers)
    with tf.GradientTape() as tape:
        logits = theirs(batch.x, training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=batch.y, logits=logits))
    for variable, expected in zip(theirs.trainable_variables, tape.gradient(loss, [
            variable.value for variable in theirs.trainable_variables]), strict=True):
        layer, name = variable.path.split("/")[-2:]
        mine = gradient[layer][{"gamma": "scale", "beta": "offset"}.get(name, name)]
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-13, err_msg=variable.path)
    for i in range(2):
        norm = theirs.get_layer(f"norm_{i}")
        np.testing.assert_allclose(after[f"norm_{i}"]["mean"], norm.moving_mean, rtol=1e-12)
        np.testing.assert_allclose(after[f"norm_{i}"]["variance"], norm.moving_variance, rtol=1e-12)


def tiny() -> Dataset:
    one = Examples(np.zeros((8, 60), np.float32), np.zeros(8, np.int32))
    return Dataset("tiny", one, one, 3, SHAPE, 1.0)


def test_padding_changes_nothing() -> None:
    (model, weights), step = made(0.25), make_step(CONFIG, tiny())
    step = dataclasses.replace(step, model=model)
    seed = tf.constant([5, 0], tf.uint32)
    whole = step.data_gradient(weights.parameters, some_batch(), weights.buffers, step.mode(some_batch(), seed, 4))
    padded = some_batch(9, 3)
    more = padded._replace(x=tf.concat([some_batch().x, padded.x[9:] + 100], 0),
                           y=tf.concat([some_batch().y, padded.y[9:]], 0))
    again = step.data_gradient(weights.parameters, more, weights.buffers, step.mode(more, seed, 4))
    map_arrays(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), whole, again)


def test_dropout_scales_what_it_keeps_and_draws_by_step_seed_and_place() -> None:
    from reglab.core.models.random import dropout

    def drawn(seed: int = 0, at: int = 0, first: int = 0, layer: int = 0) -> np.ndarray:
        mode = Mode(True, places=tf.range(first, 200), seed=step_seed(tf.constant([seed, 0], tf.uint32), at))
        return dropout(tf.ones([200 - first, 50], tf.float64), 0.25, mode, layer).numpy()

    first = drawn()
    assert set(np.unique(first)) == {0, 1 / 0.75}
    assert abs(np.mean(first == 0) - 0.25) < 0.02
    for other in (drawn(1), drawn(at=1), drawn(at=2**33), drawn(layer=1)):
        assert abs(np.mean(first == other) - 0.625) < 0.03
    np.testing.assert_array_equal(drawn(first=150), first[150:])


@pytest.mark.parametrize(("key", "counter", "bits"), [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)), ((2**32 - 1,) * 2, (2**32 - 1,) * 2, (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0))])
@pytest.mark.parametrize("jit", [False, True])
def test_threefry_gives_the_bits_of_its_authors(key: Any, counter: Any, bits: Any, jit: bool) -> None:
    """Known answers from Random123 for threefry2x32 with 20 rounds."""
    words = [tuple(tf.constant(word, tf.uint32) for word in pair) for pair in (key, counter)]
    assert tuple(int(word) for word in tf.function(threefry, jit_compile=jit)(*words)) == bits


def test_dense_kernels_are_penalized_by_default_and_others_when_asked_for() -> None:
    model = make_model(Config(model="cnn", hidden=(7,)))
    assert penalized_layers(model, "all") == ("dense_0", "logits")
    assert penalized_layers(model, "hidden") == ("dense_0",)
    assert penalized_layers(model, "conv_.*|logits") == ("conv_0", "conv_1", "logits")
    with pytest.raises(ConfigError, match="the layers with a kernel are conv_0, conv_1, dense_0, logits"):
        penalized_layers(model, "norm_0")
    with pytest.raises(ConfigError, match="--model=cnn: it takes images .* of 64: give --model=mlp"):
        make_model(Config(model="cnn"), (64,))


def test_a_run_goes_on_to_the_same_bits_a_lane_is_the_run_and_export_is_the_network(
        tmp_path: pathlib.Path, images: Dataset) -> None:
    config = dataclasses.replace(CONFIG, penalize=".*")
    whole = fit(dataclasses.replace(config, model_dir=str(tmp_path / "whole")), images)
    halves = dataclasses.replace(config, model_dir=str(tmp_path / "halves"))
    with pytest.raises(Interrupted):
        fit(halves, images, until=5)
    resumed = fit(halves, images)
    map_arrays(np.testing.assert_array_equal, (whole.parameters, whole.buffers), (resumed.parameters, resumed.buffers))
    assert np.abs(whole.buffers["norm_1"]["mean"]).max() > 0.01
    assert {"norm/conv_0/l1", "penalty/conv_1/l2", "sparsity/dense_0"} <= set(whole.result["weights"])

    lanes = [Lane.of(config), dataclasses.replace(Lane.of(config), seed=5)]
    curves = LaneTrainer(config, images, 2, [".*"]).train(lanes)
    map_arrays(lambda lane, alone: np.testing.assert_allclose(lane[0], alone, rtol=1e-10, atol=1e-12),
               (curves.parameters, curves.buffers), (whole.parameters, whole.buffers))
    other = fit(dataclasses.replace(config, seed=5, data_seed=0, jit=False), images)  # So XLA is compared too.
    map_arrays(lambda lane, alone: np.testing.assert_allclose(lane[1], alone, rtol=1e-10, atol=1e-12),
               (curves.parameters, curves.buffers), (other.parameters, other.buffers))

    for name in ("network.keras", "network.npz", "network"):
        done = export(tmp_path / "whole", tmp_path / name, state="last")
        assert done.largest_difference < 1e-6


def test_replicas_compute_what_one_device_computes() -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "PYTHON"))}
    # Only the first case, with three batches, the last of them ragged: 200 steps without XLA would take minutes.
    code = ("from reglab.engine.startup import quiet_tensorflow; quiet_tensorflow(whole_process=True); "
            "from reglab.certify import __main__ as certify, exactness; exactness.STEPS, cases = 6, exactness.cases; "
            "exactness.cases = lambda *of: [next(cases(*of))]; raise SystemExit(certify.main(['replicas', "
            "'--model=cnn', '--nojit', '--dropout=0.25', '--train_size=53', '--batch_size=25', '--hidden=8', "
            "'--l1=1e-3', '--cpu_devices=2']))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=kept | {"PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
