"""A table of one's own, from the file to the exported network: standardized, its classes named and weighted."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import pandas
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

import reglab
from reglab.config import Config, ConfigError
from reglab.data import Dataset, Stream, load_configured
from reglab.engine.assembly import make_training
from reglab.evaluate import evaluate
from reglab.export import export
from reglab.lab.lanes import Lane, LaneTrainer
from reglab.predict import predict, predict_file
from reglab.run.loop import History, Interrupted, fit

pytestmark = [pytest.mark.usefixtures("shared_compilation", "without_pictures"),
              pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

SCALES = [1e4, 1e-3, 1.0, 30.0]
NAMES = ("high, very", "low", "mid")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """120 rows of four features of very different size and one that is constant; three classes, one of them rare."""
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 4))
    rank = np.digitize(x @ [1, -1, 0.5, 0] + 0.3 * random.normal(size=120), [-1.5, 0.3])
    frame = pandas.DataFrame(x * SCALES + np.multiply(SCALES, [100, 2, 0, -1]), columns=["a", "b", "c", "d"])
    frame["constant"] = 0.1
    frame.insert(2, "grade", np.array(NAMES)[[1, 2, 0]][rank])
    path = tmp_path_factory.mktemp("table") / "mine.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def config(table: pathlib.Path) -> Config:
    return Config(dataset=str(table), label_column="grade", standardize=True, class_weights="balanced", hidden=(5,),
                  activation="tanh", epochs=4, batch_size=16, l2=0.01, learning_rate=0.05, precision="float64",
                  summary_every=2, jit=False)


@pytest.fixture(scope="module")
def data(config: Config) -> Dataset:
    return load_configured(config)


@pytest.fixture(scope="module")
def run(config: Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, History]:
    folder = tmp_path_factory.mktemp("run") / "run"
    return folder, fit(dataclasses.replace(config, model_dir=str(folder)))


def logits_of(history: History, x: np.ndarray, data: Dataset) -> np.ndarray:
    """The logits by NumPy and scikit-learn, from x as the file has it."""
    varying = StandardScaler().fit(data.train.x.astype(np.float64))
    scaled = varying.transform(x.astype(np.float64)) * (np.ptp(data.train.x, 0) > 0)
    first, last = history.parameters["dense_0"], history.parameters["logits"]
    return np.tanh(scaled @ first["kernel"] + first["bias"]) @ last["kernel"] + last["bias"]


def losses_of(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(y)), y]


def test_the_table_is_split_and_described(data: Dataset) -> None:
    assert data.description == ("mine: 77 training, 19 validation and 24 test examples of 5 features, 3 classes "
                                "(high, very, low, mid), standardized")
    assert data.columns == ("grade", ("a", "b", "c", "d", "constant"))


def test_losses_are_those_of_numpy_and_evaluation_is_not_weighted(run: tuple[pathlib.Path, History],
                                                                  data: Dataset) -> None:
    history = run[1]
    for split in ("train", "validation"):
        examples, told = data.splits[split], history.result[split]
        losses = losses_of(logits_of(history, examples.x, data), examples.y)
        weights = np.array([len(data.train) / (3 * (data.train.y == k).sum()) for k in range(3)])[examples.y]
        np.testing.assert_allclose(told["data_loss"], losses.mean(), rtol=1e-9)
        np.testing.assert_allclose(told["weighted_data_loss"], (weights * losses).sum() / weights.sum(), rtol=1e-9)
        np.testing.assert_allclose(told["total"], told["weighted_data_loss"] + told["l2"], rtol=1e-12)
    lines = [json.loads(line) for line in (run[0] / "metrics.jsonl").read_text().splitlines()]
    batches = [line for line in lines if "train_batch/total" in line]
    assert batches and all("train_batch/data_loss" not in line and "train_batch/weighted_data_loss" in line
                           for line in batches)


@pytest.mark.parametrize("given", ["balanced", "low=3,mid=0.25"])
def test_the_optimum_of_scikit_learn_is_stationary(given: str, config: Config) -> None:
    """Ours is Σ w·CE / Σ w + λ·‖W‖², theirs ‖W‖² / 2 + C·Σ w·CE: the same for C = 1 / (2·λ·Σ w)."""
    config = dataclasses.replace(config, hidden=(), class_weights=given, batch_size=77)
    data = load_configured(config)
    training = make_training(config, data)
    by_class = "balanced" if given == "balanced" else {0: 1, 1: 3, 2: 0.25}
    weights = compute_sample_weight(by_class, data.train.y)
    x = StandardScaler().fit_transform(data.train.x[:, :4].astype(np.float64))
    model = LogisticRegression(C=1 / (2 * config.l2 * weights.sum()), class_weight=by_class, tol=1e-10, max_iter=5000)
    model.fit(x, data.train.y)
    parameters = training.state["parameters"]["logits"]
    parameters["kernel"].assign(np.vstack([model.coef_.T, np.zeros([1, 3])]))
    parameters["bias"].assign(model.intercept_)
    loss, gradients = training.data_gradient(0, 0)
    np.testing.assert_allclose(gradients["logits"]["kernel"], -2 * config.l2 * parameters["kernel"].numpy(), atol=1e-7)
    np.testing.assert_allclose(gradients["logits"]["bias"], 0, atol=1e-7)
    losses = losses_of(x @ model.coef_.T + model.intercept_, data.train.y)
    np.testing.assert_allclose(loss, (weights * losses).sum() / weights.sum(), rtol=1e-9)


def test_a_run_that_was_interrupted_goes_on_to_the_same_bits(run: tuple[pathlib.Path, History], config: Config,
                                                             tmp_path: pathlib.Path) -> None:
    config = dataclasses.replace(config, model_dir=str(tmp_path / "run"))
    with pytest.raises(Interrupted):
        fit(config, until=7)
    history = fit(config)
    for layer, arrays in run[1].parameters.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(history.parameters[layer][name], array)
    with pytest.raises(ConfigError, match="standardize"):
        fit(dataclasses.replace(config, standardize=False))


def test_a_lane_is_a_run_alone(run: tuple[pathlib.Path, History], config: Config, data: Dataset) -> None:
    lanes = [Lane(config.strengths, config.learning_rate, seed) for seed in (0, 1)]
    curves = LaneTrainer(config, data, 2).train(lanes)
    for split, scores in (("train", curves.train), ("validation", curves.validation)):
        for name in ("data_loss", "weighted_data_loss", "accuracy"):
            np.testing.assert_allclose(scores[name][-1, 0], run[1].result[split][name], rtol=1e-10)


def test_an_evaluation_has_the_names_and_new_data_are_taken_by_name(run: tuple[pathlib.Path, History], data: Dataset,
                                                                    table: pathlib.Path,
                                                                    tmp_path: pathlib.Path) -> None:
    folder, history = run
    result = evaluate(folder, state="last").result
    assert [one["name"] for one in result["classes"]] == result["class_names"] == list(NAMES)
    losses = losses_of(logits_of(history, data.test.x, data), data.test.y)
    np.testing.assert_allclose(result["data_loss"], losses.mean(), rtol=1e-9)

    frame = pandas.read_csv(table)[["grade", "d", "constant", "c", "a", "b"]].query("grade != 'low'")
    frame.assign(constant=7e5).to_csv(tmp_path / "new.csv", index=False)  # It was constant, so it counts for nothing.
    new = evaluate(folder, dataset=str(tmp_path / "new.csv"), state="last").result
    x, y = frame[list("abcd")].to_numpy(np.float32), frame["grade"].map(NAMES.index).to_numpy()
    losses = losses_of(logits_of(history, np.column_stack([x, np.zeros(len(x))]), data), y)
    np.testing.assert_allclose(new["data_loss"], losses.mean(), rtol=1e-9)
    assert [one["support"] for one in new["classes"]] == np.bincount(y, minlength=3).tolist()

    frame.replace("mid", "average").to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(ConfigError, match=r"label \d+ is average, and the network of the run knows high, very,"):
        evaluate(folder, dataset=str(tmp_path / "other.csv"))


def test_predictions_are_told_by_name(run: tuple[pathlib.Path, History], data: Dataset, table: pathlib.Path,
                                      tmp_path: pathlib.Path) -> None:
    folder, history = run
    logits = logits_of(history, data.test.x, data)
    expected = np.array(NAMES)[logits.argmax(1)]
    found = predict(folder, data.test.x, state="last")
    assert found.classes.tolist() == expected.tolist()
    np.testing.assert_allclose(found.probabilities, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-9)

    frame = pandas.DataFrame(data.test.x, columns=data.columns.features).assign(extra="x")
    frame[["extra", "constant", "d", "c", "b", "a"]].to_csv(tmp_path / "x.csv", index=False)
    for name in ("y.csv", "y.json", "y.npz", "y.npy"):
        told = predict_file(folder, tmp_path / "x.csv", tmp_path / name, state="last").result
    assert told["left_out"] == ["extra"] and told["class_names"] == list(NAMES)
    read = pandas.read_csv(tmp_path / "y.csv")
    assert list(read) == ["class", "probability_high, very", "probability_low", "probability_mid"]
    predictions = json.loads((tmp_path / "y.json").read_text())
    with np.load(tmp_path / "y.npz") as arrays:
        for classes in (read["class"], [one["class"] for one in predictions["predictions"]], arrays["class"],
                        np.load(tmp_path / "y.npy")["class"]):
            assert list(classes) == expected.tolist()
        assert arrays["class_names"].tolist() == predictions["class_names"] == list(NAMES)
    frame.drop(columns="b").to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(ConfigError, match="has no column b, which the run was trained on"):
        predict_file(folder, tmp_path / "x.csv", tmp_path / "z.csv")


def test_exports_take_x_as_the_file_has_it(run: tuple[pathlib.Path, History], data: Dataset,
                                           tmp_path: pathlib.Path) -> None:
    import keras

    folder, history = run
    x, told = data.test.x, {}
    expected = logits_of(history, x, data)
    for name in ("m.keras", "m.npz", "saved"):
        told = export(folder, tmp_path / name, state="last").to_dict()
    assert told["class_names"] == list(NAMES) and told["standardization"] == data.standardization.to_dict()
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "m.keras")(x).numpy(), expected, atol=1e-6)
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(saved.serve(tf.constant(x, tf.float64)).numpy(), expected, atol=1e-6)
    with np.load(tmp_path / "m.npz") as a:
        hidden = np.tanh((x - a["mean"]) / a["divisor"] @ a["dense_0/kernel"] + a["dense_0/bias"])
        np.testing.assert_allclose(hidden @ a["logits/kernel"] + a["logits/bias"], expected, rtol=1e-9)
        assert a["class_names"].tolist() == list(NAMES)


def test_images_keep_their_shape_and_their_scale(tmp_path: pathlib.Path) -> None:
    config = Config(hidden=(), standardize=True, class_weights={"3": 2}, train_size=64, epochs=1,
                    jit=False, summary_every=0, model_dir=str(tmp_path / "run"))
    fit(config)
    for name in ("m.keras", "m.npz"):
        assert export(tmp_path / "run", tmp_path / name, state="last").largest_difference < 1e-5
    assert reglab.predict(tmp_path / "run", np.zeros([1, 8, 8], np.uint8)).classes.dtype == np.int32


@pytest.mark.parametrize("fields", [{"standardize": True}, {"class_weights": "balanced"}])
def test_a_stream_is_refused(fields: dict[str, Any]) -> None:
    stream = Stream("stream", lambda epoch: [], lambda: [], 8, 8, 2, (3,))
    with pytest.raises(ConfigError, match=f"^--{next(iter(fields))}.* and? ?stream brings its batches one after the"):
        fit(Config(**fields), stream)


def test_damaged_facts_are_refused(run: tuple[pathlib.Path, History], tmp_path: pathlib.Path) -> None:
    told = json.loads((run[0] / "data.json").read_text())
    (tmp_path / "config.json").write_bytes((run[0] / "config.json").read_bytes())
    for wrong in ({"class_names": ["a"]}, {"class_names": ["a", 1, "b"]}, {"standardization": {"mean": []}},
                  {"columns": {"label": 1}}, {"columns": []}):
        (tmp_path / "data.json").write_text(json.dumps({**told, **wrong}))
        with pytest.raises(ConfigError, match="data.json does not tell"):
            predict(tmp_path, np.zeros([1, 5]))
