"""Predictions against the weights of the run in NumPy, and the files they are written to."""

from __future__ import annotations

import csv
import json
import pathlib
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

import reglab
from reglab.config import Config, ConfigError
from reglab.data import from_arrays
from reglab.predict import predicting
from reglab.predict.predicting import predict, predict_file
from reglab.run.loop import History, fit

pytestmark = pytest.mark.usefixtures("shared_compilation")

EXAMPLES = 23


def pixels(seed: int = 0, count: int = EXAMPLES) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 2, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    rng = np.random.default_rng(1)
    data = from_arrays(pixels(1, 60), rng.integers(0, 4, 60))
    return fit(Config(hidden=(5,), epochs=3, batch_size=8, learning_rate=0.05, jit=False,
                      model_dir=str(tmp_path_factory.mktemp("predict") / "run")), data)


@pytest.fixture
def run(history: History) -> pathlib.Path:
    return pathlib.Path(str(history.config.model_dir))


def expected(history: History, x: np.ndarray) -> np.ndarray:
    """[n, 4] probabilities of the last state, in float64."""
    hidden, logits = history.parameters["dense_0"], history.parameters["logits"]
    above = np.maximum(np.float64(x.reshape(len(x), -1)) / 255 @ hidden["kernel"] + hidden["bias"], 0)
    return softmax(above @ logits["kernel"] + logits["bias"], axis=1)


def test_probabilities_are_the_softmax_of_the_network(history: History, run: pathlib.Path) -> None:
    found = reglab.predict(run, pixels(), state="last")  # The module, which is a function too.
    np.testing.assert_allclose(found.probabilities, expected(history, pixels()), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(found.classes, expected(history, pixels()).argmax(1))
    assert (found.classes.dtype, found.probabilities.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(predict(run, pixels().reshape(EXAMPLES, 6), state="last").probabilities,
                                  found.probabilities)
    assert predict(run, pixels()[:0]).probabilities.shape == (0, 4)


def read(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Classes and probabilities, by whatever reads such a file."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            assert set(file) == {"class", "probabilities"}
            return file["class"], file["probabilities"]
    if path.suffix == ".npy":
        rows = np.load(path)
        return rows["class"], rows["probabilities"]
    if path.suffix == ".json":
        told = json.loads(path.read_text())["predictions"]
        return (np.array([one["class"] for one in told]),
                np.array([one["probabilities"] for one in told], np.float32))
    with path.open() as file:
        first, *lines = csv.reader(file)
    assert first == ["class", *(f"probability_{k}" for k in range(4))]
    return np.array([int(line[0]) for line in lines]), np.array([line[1:] for line in lines]).astype(np.float32)


@pytest.mark.parametrize("name", ["y.npz", "y.npy", "y.csv", "y.json"])
@pytest.mark.parametrize("batch", [1000, 7])
def test_a_file_holds_what_is_predicted_to_the_bit_in_parts_of_any_size(
        run: pathlib.Path, tmp_path: pathlib.Path, name: str, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicting, "BATCH", batch)
    np.save(tmp_path / "x.npy", pixels())
    done = predict_file(run, tmp_path / "x.npy", tmp_path / name)
    classes, probabilities = read(tmp_path / name)
    found = predict(run, pixels())
    np.testing.assert_array_equal(classes, found.classes)
    np.testing.assert_array_equal(probabilities, found.probabilities)
    assert done.result["predicted"] == np.bincount(found.classes, minlength=4).tolist()
    assert {path.name for path in tmp_path.iterdir()} == {"x.npy", name}


def refused(said: str, run: pathlib.Path, *paths: pathlib.Path, **options: Any) -> None:
    with pytest.raises(ConfigError) as error:
        predict_file(run, *paths, **options)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_nothing_is_written_over_but_where_that_is_asked_for(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "x.npy", pixels())
    (tmp_path / "y.csv").write_text("mine")
    refused("y.csv exists already: name another file, or give --overwrite", run, tmp_path / "x.npy", tmp_path / "y.csv")
    assert (tmp_path / "y.csv").read_text() == "mine"
    predict_file(run, tmp_path / "x.npy", tmp_path / "y.csv", overwrite=True)
    assert len((tmp_path / "y.csv").read_text().splitlines()) == EXAMPLES + 1
    for kept in (run / "config.json", tmp_path / "x.npy"):
        content = kept.read_bytes()
        refused("is what is read: name another file", run, tmp_path / "x.npy", kept, overwrite=True)
        assert kept.read_bytes() == content
    refused("name a file that ends in .npz, .npy, .csv, .json", run, tmp_path / "x.npy", tmp_path / "y.txt")


def test_a_bad_example_in_the_middle_leaves_nothing(tmp_path: pathlib.Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    fit(Config(hidden=(), epochs=1, jit=False, model_dir=str(tmp_path / "run")), from_arrays(x, np.arange(60) % 2))
    x[41, 1] = np.inf
    np.save(tmp_path / "x.npy", x)
    refused("x.npy: x[41, 1] is inf: it has to be finite in float32", tmp_path / "run", tmp_path / "x.npy",
            tmp_path / "y.npz")
    assert {path.name for path in tmp_path.iterdir()} == {"run", "x.npy"}


@pytest.mark.parametrize(("content", "said"), [
    (b"", "it is no .npy file"), (b"PK\3\4nothing", "it is an archive of several arrays"),
    (b"\x93NUMPY\1\0v\0{'descr': '|u1', 'fortran_order': False, 'shape': (9, 6), }".ljust(127) + b"\n" + b"\0" * 50,
     "cannot be read ("), (None, "cannot be read (No such file"), (object, "Python objects"),
    (np.zeros((3, 2, 3)), "x is float64, and the run's data are uint8, divided by 255"),
    (np.zeros((3, 5), np.uint8), "x has shape (3, 5), and the run takes [examples, 2, 3] or [examples, 6]"),
    (np.zeros((0, 6), np.uint8), "holds no example: give at least one")])
def test_inputs_that_cannot_be_used_are_refused(run: pathlib.Path, tmp_path: pathlib.Path, content: Any,
                                                said: str) -> None:
    if isinstance(content, bytes):
        (tmp_path / "x.npy").write_bytes(content)
    elif content is not None:
        np.save(tmp_path / "x.npy", np.array([{}]) if content is object else content, allow_pickle=True)
    refused(said, run, tmp_path / "x.npy", tmp_path / "y.npz")
    assert not (tmp_path / "y.npz").exists()
