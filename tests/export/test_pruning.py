"""Exports without units: the same logits in float64, what went and what that saves, and what cannot be pruned."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import reglab
from reglab.config import ConfigError
from reglab.core import models
from reglab.core.parameters import Weights
from reglab.export import exporting
from reglab.export.__main__ import main
from reglab.export.pruning import prune
from reglab.inputs import exit_codes
from reglab.trained.network import Network, read_network
from tests.export.test_every_format import formats

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A run in float64 with units that hear no one: its first layer has a strong L1, by its proximal operator."""
    folder = tmp_path_factory.mktemp("pruned") / "run"
    reglab.fit(reglab.Config(train_size=100, hidden=(12, 5), epochs=2, jit=False, precision="float64", proximal=True,
                             activation="softplus", optimizer="sgd", learning_rate=0.1, l1="dense_0=0.25;dense_1=0.6",
                             model_dir=str(folder)))
    return folder


def by_numpy(path: pathlib.Path, x: np.ndarray) -> np.ndarray:
    """The logits of an .npz file, in float64."""
    with np.load(path) as file:
        x = x[:, file["inputs"]] if "inputs" in file else x
        x = x / file["divisor"]
        for layer in ("dense_0", "dense_1", "logits"):
            x = x @ file[f"{layer}/kernel"] + file[f"{layer}/bias"]
            x = np.logaddexp(0, x) if layer != "logits" else x
    return x


@pytest.mark.parametrize("drop", [False, True])
def test_the_pruned_network_has_the_logits_of_the_run(model_dir: pathlib.Path, tmp_path: pathlib.Path,
                                                      drop: bool) -> None:
    done = exporting.export(model_dir, tmp_path / "a.npz", prune=True, drop_inputs=drop)
    x = np.random.default_rng(3).integers(0, 17, (100, 64)).astype(float)
    expected = read_network(model_dir, "best").logits(x.reshape(-1, 8, 8))
    np.testing.assert_allclose(by_numpy(tmp_path / "a.npz", x), expected, rtol=0, atol=1e-12)
    saved, network = done.pruning, done.network
    assert saved is not None and saved.largest_difference <= 1e-12
    left = {layer: of for layer, (of, _) in saved.units.items()}
    assert 0 < left["dense_0"] < 12 and saved.units["dense_1"][1] == 5
    assert saved.after.parameters == network.model.size < saved.before.parameters == 64 * 12 + 12 + 65 + 60
    assert saved.after.flops < saved.before.flops == 2 * (64 * 12 + 12 * 5 + 5 * 10)
    assert saved.after.bytes == (tmp_path / "a.npz").stat().st_size < saved.before.bytes
    assert saved.after.seconds > 0 and saved.unused_inputs
    taken = 64 - len(saved.unused_inputs) if drop else (8, 8)
    assert network.input_shape == ((taken,) if drop else taken)
    assert (network.inputs is not None) == drop


@pytest.mark.parametrize("name", formats("keras", "onnx", "tflite"))
def test_others_read_the_pruned_network(name: str, model_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    done = exporting.export(model_dir, tmp_path / f"a.{name}", prune=True, drop_inputs=True)
    assert done.largest_difference < 1e-6 and done.network.model.hidden[0] < 12


def test_the_command_tells_what_went(model_dir: pathlib.Path, tmp_path: pathlib.Path,
                                     capfd: pytest.CaptureFixture[str]) -> None:
    argv = [f"--model_dir={model_dir}", f"--output={tmp_path / 'a.npz'}", "--prune", "--drop_inputs", "--json"]
    assert main(argv) == exit_codes.SUCCESS
    out, err = capfd.readouterr()
    told = json.loads(out)
    pruning = told["pruning"]
    assert sorted([*told["inputs"], *pruning["unused_inputs"]]) == list(range(64))
    assert pruning["units"]["dense_0"]["of"] == 12
    lines = err.splitlines()
    assert lines[2] == (f"Units       {pruning['units']['dense_0']['left']} of 12 in dense_0, "
                        f"{pruning['units']['dense_1']['left']} of 5 in dense_1")
    assert lines[3].startswith(f"Inputs      {len(pruning['unused_inputs'])} are unused; the network takes the others")
    assert lines[5].split() == ["parameters", "905", str(pruning["after"]["parameters"])]
    assert lines[9].startswith("Same        logits differ from those of the run by ")


def test_the_dense_layers_of_the_cnn_are_pruned(tmp_path: pathlib.Path) -> None:
    model = models.get("cnn").configured(reglab.Config(hidden=(6,), precision="float64"), (4, 4), 3)
    parameters, buffers = model.initialize(0)
    kernel = parameters["dense_0"]["kernel"].numpy()
    kernel[:, [1, 4]] = 0
    parameters["dense_0"] = {"kernel": tf.constant(kernel), "bias": tf.constant(np.linspace(-1, 1, 6))}
    network = Network(reglab.Config(), model, Weights(parameters, buffers), (4, 4), 1.0, 3, 0, None)
    smaller = prune(network)
    x = np.random.default_rng(0).random((9, 4, 4))
    np.testing.assert_allclose(smaller.network.logits(x), network.logits(x), rtol=0, atol=1e-12)
    assert smaller.units == {"dense_0": (4, 6)} and smaller.unused_inputs is None
    convolutions = 2 * 9 * (16 * 1 * 16 + 4 * 16 * 32)
    assert network.model.flops == convolutions + 2 * (32 * 6 + 6 * 3)
    assert smaller.network.model.flops == convolutions + 2 * (32 * 4 + 4 * 3)
    with pytest.raises(ConfigError, match="--drop_inputs: --model=cnn takes whole examples"):
        prune(network, drop_inputs=True)


class Other(models.Model):
    name = "other"
    pruned = models.Model.pruned


def test_a_model_that_says_nothing_of_units_is_refused(model_dir: pathlib.Path) -> None:
    network = read_network(model_dir, "best")
    Other.__abstractmethods__ = frozenset()
    with pytest.raises(ConfigError, match="--prune: --model=other does not say how its units are left out"):
        prune(dataclasses.replace(network, model=Other()))


def test_inputs_are_dropped_by_prune_alone(model_dir: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([f"--model_dir={model_dir}", "--drop_inputs"]) == exit_codes.BAD_INPUT
    assert "--drop_inputs=True: it needs --prune" in capfd.readouterr().err


def test_a_pruned_network_that_differs_is_code_4_and_not_written(
        model_dir: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(exporting, "_largest", lambda expected, found: 2e-12)
    assert main([f"--model_dir={model_dir}", f"--output={tmp_path / 'a.npz'}", "--prune"]) == exit_codes.VERDICT_FAILED
    assert "the pruned network differs from the run's network by 2.0e-12" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
