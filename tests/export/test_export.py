"""What is exported is the run's network: by the libraries that read it, on the real data, and in every format."""

from __future__ import annotations

import dataclasses
import gc
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import reglab
from reglab import data
from reglab.config import ACTIVATIONS, ConfigError
from reglab.core.models.mlp import MLP
from reglab.core.parameters import map_arrays
from reglab.export import exporting
from reglab.export.exporting import WrongCopy, export
from reglab.export.formats import format_named, keras_model
from reglab.trained.network import Network, read_network

# Keras' own: it gives NumPy 2 its variables in a way that NumPy will drop.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
# Few examples and a large rate: the best state comes long before the last.
RUN = reglab.Config(train_size=100, hidden=(16, 8), epochs=25, learning_rate=0.02, jit=False, summary_every=0,
                    l1=1e-4, l2=1e-4)
TREE = Callable[[pathlib.Path], dict[str, Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> reglab.History:
    """A finished run with a folder."""
    folder = tmp_path_factory.mktemp("export") / "run"
    return reglab.fit(dataclasses.replace(RUN, model_dir=str(folder)))


@pytest.fixture
def model_dir(run: reglab.History) -> pathlib.Path:
    """The folder of the run."""
    assert run.config.model_dir is not None
    return pathlib.Path(run.config.model_dir)


def of_numpy(path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    """The network of an .npz file, by NumPy alone."""
    arrays = np.load(path)
    assert arrays["activation"] == "relu"

    def logits(x: np.ndarray) -> np.ndarray:
        h = x.reshape(len(x), -1) / arrays["divisor"]
        for layer in ("dense_0", "dense_1"):
            h = np.maximum(h @ arrays[f"{layer}/kernel"] + arrays[f"{layer}/bias"], 0)
        return h @ arrays["logits/kernel"] + arrays["logits/bias"]
    return logits


def of_saved_model(path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    """The network of a SavedModel, as a server would call it."""
    model = tf.saved_model.load(str(path))
    return lambda x: model.serve(tf.cast(x, tf.float32)).numpy()


READERS: dict[str, Callable[[pathlib.Path], Callable[[np.ndarray], np.ndarray]]] = {
    "a.keras": lambda path: lambda x: keras.models.load_model(path).predict(x, verbose=0),
    "a.npz": of_numpy,
    "l1=0.001": of_saved_model,
}


@pytest.mark.parametrize("state", ["best", "last"])
@pytest.mark.parametrize("name", READERS)
def test_who_reads_it_finds_the_loss_and_accuracy_of_the_run(run: reglab.History, model_dir: pathlib.Path, name: str,
                                                             state: str, tmp_path: pathlib.Path) -> None:
    done = export(model_dir, tmp_path / name, state=state)
    digits = data.load("digits").validation
    logits = np.float64(READERS[name](tmp_path / name)(digits.x.reshape(-1, 8, 8)))
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), digits.y]
    noted = run.result["best"] if state == "best" else run.result["validation"]
    assert done.validation == {"data_loss": noted["data_loss"], "accuracy": noted["accuracy"]}
    assert losses.mean() == pytest.approx(noted["data_loss"], rel=1e-5)
    assert (logits.argmax(1) == digits.y).mean() == noted["accuracy"]
    assert done.largest_difference <= exporting.TOLERANCE


def test_best_and_last_are_two_states(run: reglab.History, model_dir: pathlib.Path) -> None:
    best, last = (read_network(model_dir, state) for state in ("best", "last"))
    assert best.step == run.result["best"]["step"] < last.step == run.result["steps"]
    map_arrays(lambda variable, array: np.testing.assert_array_equal(variable, array), last.parameters, run.parameters)


def test_the_run_stays_as_it_is_and_gets_its_model(model_dir: pathlib.Path, tree: TREE) -> None:
    before = tree(model_dir)
    assert export(model_dir).output == model_dir / "model.keras"
    after = tree(model_dir)
    (model_dir / "model.keras").unlink()
    assert after.pop("model.keras")
    assert after == before


@pytest.mark.parametrize("name", ["a.keras", "a"])
def test_what_exists_is_never_replaced(model_dir: pathlib.Path, name: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match=f"--output={tmp_path / name} exists already"):
        export(model_dir, tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


def test_a_wrong_copy_is_found_and_removed(model_dir: pathlib.Path, tmp_path: pathlib.Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    def write(network: Network, path: pathlib.Path, metadata: dict[str, Any]) -> None:
        network.parameters["logits"]["bias"].assign_add(np.float32([1e-2] + [0] * 9))
        format_named("savedmodel").write(network, path, metadata)
        network.parameters["logits"]["bias"].assign_sub(np.float32([1e-2] + [0] * 9))

    monkeypatch.setattr(exporting, "format_named", lambda name: format_named(name)._replace(write=write))
    with pytest.raises(WrongCopy, match=r"the SavedModel differs .* nothing was written"):
        export(model_dir, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_keras_computes_every_activation_as_reglab_does(activation: str) -> None:
    model = MLP((2, 3), (5, 4), 3, activation=activation, dtype=tf.float64)
    config = reglab.Config(hidden=(5, 4), activation=activation, precision="float64")
    network = Network(config, model, map_arrays(tf.Variable, model.initialize(1)), (2, 3), 4.0, 3, 0, None)
    x = np.random.default_rng(0).normal(size=(20, 2, 3)) * 10
    np.testing.assert_allclose(keras_model(network)(x), network.logits(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("precision", ["bfloat16", "float64"])
@pytest.mark.parametrize("name", ["a.keras", "a.npz", "a"])
def test_other_precisions(precision: str, name: str, tmp_path: pathlib.Path) -> None:
    config = dataclasses.replace(RUN, epochs=1, hidden=(), precision=precision, model_dir=str(tmp_path / "run"))
    reglab.fit(config)
    done = export(tmp_path / "run", tmp_path / name)
    assert done.network.parameters["logits"]["kernel"].dtype == ("float64" if precision == "float64" else "float32")


@pytest.mark.parametrize(("precision", "divisor"), [("float32", 1.0), ("float64", 255.0)])
def test_own_arrays_need_not_be_there_again(precision: str, divisor: float, tmp_path: pathlib.Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 3))
    mine = data.from_arrays(x.astype(np.uint8) if divisor == 255 else x, np.arange(40) % 2)
    reglab.fit(dataclasses.replace(RUN, train_size=None, epochs=2, precision=precision,
                                   model_dir=str(tmp_path / "run")), data=mine)
    done = export(tmp_path / "run", tmp_path / "a.keras")
    assert (done.network.input_shape, done.network.divisor, done.network.classes) == ((3,), divisor, 2)


def damage_checkpoints(folder: pathlib.Path) -> None:
    for path in (folder / "checkpoints").rglob("ckpt-*.index"):
        path.write_bytes(b"garbage")


def forget_shape(folder: pathlib.Path) -> None:
    (folder / "data.json").write_text(json.dumps({"description": "digits", "digest": "0375a7b3"}))


def garble_config(folder: pathlib.Path) -> None:
    (folder / "config.json").write_text("{")


def change_network(folder: pathlib.Path) -> None:
    facts = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps({**facts, "input_shape": [9, 9]}))


def remove_best(folder: pathlib.Path) -> None:
    for path in (folder / "checkpoints" / "best").iterdir():
        path.unlink()


def change_activation(folder: pathlib.Path) -> None:
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**fields, "activation": "sigmoid"}))


@pytest.mark.parametrize(("harm", "said"), [
    (change_activation, "config.json is not as the run wrote it .activation: 'sigmoid', not '[a-z]+'.: give"),
    (damage_checkpoints, "ckpt-.* cannot be read"),
    (change_network, "ckpt-.* cannot be read"),
    (remove_best, "best holds no checkpoint"),
    (forget_shape, "data.json does not tell the shape"),
    (garble_config, "holds a run that cannot be used: .*is not JSON"),
])
def test_a_broken_run_is_told_in_one_line(harm: Callable[[pathlib.Path], None], said: str, model_dir: pathlib.Path,
                                          tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(model_dir, tmp_path / "run")
    harm(tmp_path / "run")
    with pytest.raises(ConfigError, match=said) as caught:
        export(tmp_path / "run", tmp_path / "a.keras")
    assert "\n" not in str(caught.value)
    del caught
    gc.collect()
    assert caplog.records == [], "TensorFlow has logged what it did not find"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_earlier_state_is_not_taken_for_the_last(model_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shutil.copytree(model_dir, tmp_path / "run")
    newest = max((tmp_path / "run" / "checkpoints").glob("ckpt-*.index"), key=lambda path: int(path.stem[5:]))
    newest.unlink()
    assert list((tmp_path / "run" / "checkpoints").glob("ckpt-*.index")), "an earlier one is left"
    with pytest.raises(ConfigError, match=f"{newest.stem}, the newest checkpoint, is missing: give the other --state"):
        export(tmp_path / "run", tmp_path / "a.keras", state="last")
