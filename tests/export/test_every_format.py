"""Every format computes every network of reglab's and tells the same of it, by whoever reads that format."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import reglab
from reglab.config import ACTIVATIONS, ConfigError
from reglab.config.selection import make_model
from reglab.core.models import Model
from reglab.core.parameters import Weights, map_arrays
from reglab.data.standardization import Standardization
from reglab.export.exporting import TOLERANCE
from reglab.export.formats import format_named
from reglab.export.inputs import inputs_like
from reglab.export.kinds import KINDS, check_packages, chosen, default_name
from reglab.export.metadata import metadata_of
from reglab.trained.network import Network
from tests.records.made import make_run
from tests.stranger_model import Gated

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
NAMES = ("bird", "cat", "dog")


def formats(*names: str) -> list[Any]:
    """These formats, or all; one whose packages are missing is skipped, saying so."""
    def missing(name: str) -> str:
        try:
            check_packages(name)
        except ConfigError as error:
            return str(error)
        return ""

    return [pytest.param(name, marks=pytest.mark.skipif(bool(missing(name)), reason=missing(name)))
            for name in names or KINDS]


def network_of(config: reglab.Config, shape: tuple[int, ...], standardized: bool = False) -> Network:
    """A network with random weights and buffers, as if it was trained."""
    random = np.random.default_rng(3)
    model = make_model(config, shape, 3)
    features = int(np.prod(shape))
    weights = map_arrays(lambda array: tf.Variable(array + random.uniform(0.05, 0.3, array.shape)),
                         model.initialize(1))
    scale = Standardization(random.normal(5, 1, features), np.where(np.arange(features) == 1, 0.0, 2.0))
    return Network(config, model, weights, shape, 16.0, 3, 7, None, NAMES, scale if standardized else None)


def largest_difference(network: Network, name: str, path: pathlib.Path) -> float:
    """Of the logits read back, over the largest logit."""
    form, x = format_named(name), np.random.default_rng(0).normal(6, 4, (20, *network.input_shape)).astype(np.float32)
    form.write(network, path, metadata_of(network, "best", None))
    expected, found = network.logits(x), form.read(network, path)(x)
    assert found.shape == expected.shape == (20, 3)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("activation", sorted({*ACTIVATIONS} - {"relu"}))  # The networks below have relu.
@pytest.mark.parametrize("name", formats("onnx", "tflite"))
def test_every_activation(name: str, activation: str, tmp_path: pathlib.Path) -> None:
    network = network_of(reglab.Config(hidden=(5, 4), activation=activation, dropout=0.5), (2, 3))
    assert largest_difference(network, name, tmp_path / f"a{KINDS[name].suffix}") < TOLERANCE


@pytest.mark.parametrize(("config", "standardized"), [
    (reglab.Config(hidden=()), False), (reglab.Config(hidden=(4,), precision="float64"), True),
    (reglab.Config(model="cnn", precision="float64", hidden=(4,), dropout=0.2), True)],
    ids=["softmax", "standardized in float64", "standardized cnn in float64"])
@pytest.mark.parametrize("name", formats("onnx", "tflite"))
def test_every_network(name: str, standardized: bool, config: reglab.Config, tmp_path: pathlib.Path) -> None:
    network = network_of(config, (5, 7), standardized)
    assert largest_difference(network, name, tmp_path / f"a{KINDS[name].suffix}") < TOLERANCE


@pytest.mark.parametrize("name", formats("onnx", "tflite"))
def test_colors_are_channels(name: str, tmp_path: pathlib.Path) -> None:
    network = network_of(reglab.Config(hidden=(4,), model="cnn"), (6, 4, 3))
    assert largest_difference(network, name, tmp_path / f"a{KINDS[name].suffix}") < TOLERANCE


@pytest.mark.parametrize("name", formats("keras", "onnx", "tflite"))
def test_a_model_without_keras_layers_is_exported_or_refused(name: str, tmp_path: pathlib.Path) -> None:
    gated: Model = Gated.configured(reglab.Config(hidden=(4,)), (2, 3), 3)
    weights: Weights = map_arrays(tf.Variable, gated.initialize(0))
    network = Network(reglab.Config(), gated, weights, (2, 3), 1.0, 3, 0, None)
    path = tmp_path / f"a{KINDS[name].suffix}"
    if name in ("keras", "onnx"):
        with pytest.raises(ConfigError, match="--model=gated has no form of Keras layers"):
            format_named(name).write(network, path, metadata_of(network, "best", None))
    else:
        assert largest_difference(network, name, path) < TOLERANCE


def of_zip(path: pathlib.Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read("reglab.json").decode()


def of_onnx(path: pathlib.Path) -> str:
    import onnx

    properties = {each.key: each.value for each in onnx.load(str(path)).metadata_props}
    assert json.loads(properties["class_names"]) == list(NAMES)
    return properties["reglab"]


METADATA: dict[str, Callable[[pathlib.Path], str]] = {
    "keras": of_zip, "tflite": of_zip, "onnx": of_onnx, "npz": lambda path: str(np.load(path)["metadata"]),
    "savedmodel": lambda path: (path / "assets.extra" / "reglab.json").read_text()}


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A run on standardized features of very different scales, whose classes have names."""
    folder, random = tmp_path_factory.mktemp("formats"), np.random.default_rng(0)
    y = np.arange(90) % 3
    np.savez(folder / "mine.npz", x_train=random.normal(size=(90, 4)) * [1, 1000, 1e-3, 1] + y[:, None] * 2 + 50,
             y_train=np.array(NAMES)[y])
    reglab.fit(reglab.Config(dataset=str(folder / "mine.npz"), standardize=True, hidden=(6,), epochs=2, jit=False,
                             summary_every=0, model_dir=str(folder / "run")))
    return folder / "run"


@pytest.mark.parametrize("name", formats())
def test_where_it_comes_from_and_what_it_means_is_told_in_every_format(name: str, model_dir: pathlib.Path,
                                                                       tmp_path: pathlib.Path) -> None:
    path = tmp_path / f"a{KINDS[name].suffix}"
    done = reglab.export(model_dir, path, format=name)
    told = json.loads(METADATA[name](path))
    assert told["run"] == json.loads((model_dir / "run.json").read_text())["run"]
    assert (told["class_names"], told["classes"], told["input_shape"], told["state"]) == (list(NAMES), 3, [4], "best")
    assert told["standardization"] == json.loads((model_dir / "data.json").read_text())["standardization"]
    assert told["config"] == json.loads((model_dir / "config.json").read_text())
    assert "(x - mean) / std" in told["takes"] and told["divisor"] is None
    assert done.compared_on == "18 validation examples and 64 random inputs"
    assert done.to_dict()["class_names"] == list(NAMES) and done.format == KINDS[name].title


@pytest.mark.parametrize("name", formats("onnx"))
def test_a_runtime_finds_the_classes_that_reglab_predicts(name: str, model_dir: pathlib.Path, tmp_path: pathlib.Path
                                                          ) -> None:
    import onnxruntime

    x = np.load(model_dir.parent / "mine.npz")["x_train"].astype(np.float32)
    reglab.export(model_dir, tmp_path / "a.onnx")
    [logits] = onnxruntime.InferenceSession(str(tmp_path / "a.onnx")).run(None, {"x": x})
    predicted = reglab.predict(model_dir, x)
    np.testing.assert_array_equal(np.array(NAMES)[logits.argmax(1)], predicted.classes)
    exp = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    np.testing.assert_allclose(exp / exp.sum(1, keepdims=True), predicted.probabilities, rtol=1e-4, atol=1e-6)


def test_real_inputs_are_used_only_where_they_are_those_of_the_run(model_dir: pathlib.Path, tmp_path: pathlib.Path
                                                                   ) -> None:
    network = dataclasses.replace(network_of(reglab.Config(), (4,)), standardization=None)
    assert inputs_like(network, model_dir).inputs.shape == (18 + 64, 4)
    moved = model_dir.parent / "mine.npz"
    content = moved.read_bytes()
    try:
        np.savez(moved, x_train=np.zeros((9, 4)), y_train=np.arange(9) % 3)
        assert inputs_like(network, model_dir).text == "64 random inputs"
        moved.unlink()
        assert inputs_like(network, model_dir).text == "64 random inputs"
    finally:
        moved.write_bytes(content)
    assert inputs_like(network, tmp_path).text == "64 random inputs"


@pytest.mark.parametrize(("name", "output", "found"), [
    (None, "a.keras", "keras"), (None, "a.npz", "npz"), (None, "a.onnx", "onnx"), (None, "a.tflite", "tflite"),
    (None, "l1=0.001", "savedmodel"), ("npz", "a.weights", "npz"), ("onnx", "a.onnx", "onnx"),
    ("savedmodel", "a", "savedmodel"), ("tflite", "net", "tflite")])
def test_the_format_is_the_one_given_or_that_of_the_name(name: str | None, output: str, found: str) -> None:
    assert chosen(name, pathlib.Path(output)) == found


@pytest.mark.parametrize(("name", "output", "said"), [
    (None, "a.h5", "reglab writes .keras, .npz, .onnx, .tflite files, and SavedModel folders"),
    ("onnx", "a.keras", "--format=onnx: --output=a.keras is no name for it: let it end in .onnx"),
    ("keras", "a", "let it end in .keras"), ("savedmodel", "a.npz", "leave out the ending, since it is a folder"),
    ("onxn", "a", "--format=onxn: choose one of keras, savedmodel, npz, onnx, tflite; did you mean onnx?")])
def test_a_name_of_another_format_is_refused(name: str | None, output: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(name, pathlib.Path(output))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_default_names() -> None:
    assert [default_name(name) for name in (None, *KINDS)] == [
        "model.keras", "model.keras", "saved_model", "model.npz", "model.onnx", "model.tflite"]


def test_a_missing_package_is_told_before_tensorflow_is_imported(model_dir: pathlib.Path) -> None:
    code = ("import importlib.util, sys; found = importlib.util.find_spec\n"
            "importlib.util.find_spec = lambda name: None if name.startswith('onnx') else found(name)\n"
            "from reglab.export.__main__ import main\n"
            "code = main(sys.argv[1:]); sys.exit(code if 'tensorflow' not in sys.modules else 1)")
    done = subprocess.run([sys.executable, "-c", code, f"--model_dir={model_dir}", "--format=onnx"],
                          capture_output=True, text=True, cwd=pathlib.Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "reglab: --format=onnx needs onnx and onnxruntime: pip install 'reglab[onnx]'\n"
    assert not (model_dir / "model.onnx").exists()


def test_other_data_under_the_name_of_the_runs_are_not_used(tmp_path: pathlib.Path) -> None:
    folder = make_run(tmp_path / "run")  # Of arrays from Python, as their digest tells, though it says digits.
    assert inputs_like(network_of(reglab.Config(), (8, 8)), folder).text == "64 random inputs"
