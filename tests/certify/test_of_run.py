"""Certificates of runs: figures that hold, figures that were changed, and distances against other libraries' optima."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto import event_pb2

from reglab.certify import __main__ as command
from reglab.certify.answers import answer, cautions, lines_of
from reglab.certify.certificate import Certificate, certify
from reglab.certify.stationarity import data_gradient, distances
from reglab.config import Config, ConfigError
from reglab.config.selection import make_model
from reglab.core.parameters import Weights
from reglab.data import Dataset, from_arrays
from reglab.engine.assembly import make_hyperparameters, make_step
from reglab.inputs import exit_codes
from reglab.run.logs.records import framed
from reglab.run.loop import Interrupted, fit
from reglab.trained.network import Network

pytestmark = pytest.mark.usefixtures("shared_compilation")

# 53 examples in batches of 8: 7 steps an epoch, 14 in all.
CONFIG = Config(hidden=(4,), batch_size=8, epochs=2, l1=0.01, l2=0.02, learning_rate=0.01, schedule="cosine",
                summary_every=3, jit=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    fit(dataclasses.replace(CONFIG, model_dir=str(folder)), dataset)
    return folder


@pytest.fixture
def copy(finished: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(finished, tmp_path / "run"))


def change_line(folder: pathlib.Path, step: int, split: str, tag: str, value: float) -> None:
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    [line] = [one for one in lines if (one["step"], one["split"]) == (step, split) and tag in one]
    line[tag] = value
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))


def change_event(folder: pathlib.Path, split: str, step: int, tag: str, value: float) -> None:
    [path] = (folder / split).glob("events.*")
    events = [event_pb2.Event.FromString(data) for data in RawEventFileLoader(str(path)).Load()]
    [number] = [one for event in events for one in event.summary.value if (event.step, one.tag) == (step, tag)]
    number.tensor.float_val[0] = value
    path.write_bytes(b"".join(framed(event.SerializeToString()) for event in events))


def change_json(path: pathlib.Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("state", ["last", "best"])
def test_the_figures_of_a_run_hold_and_nothing_is_written(finished: pathlib.Path, dataset: Dataset, state: str,
                                                          tree: Callable[..., Any]) -> None:
    before = tree(finished)
    found = certify(finished, state, data=dataset)
    assert found.holds and found.network.step in (7, 14)
    assert found.compared["metrics.jsonl"] > 90 and found.compared["result.json"] > 20
    assert {file.partition("/")[0] for file in found.compared} >= {"train", "validation"}
    assert tree(finished) == before
    w = {name: arrays["kernel"].numpy().astype(float) for name, arrays in found.network.parameters.items()}
    assert found.evaluation.train["l1"] == pytest.approx(0.01 * sum(np.abs(a).sum() for a in w.values()), rel=1e-12)
    assert found.evaluation.train["l2"] == pytest.approx(0.02 * sum((a * a).sum() for a in w.values()), rel=1e-12)


CNN = dataclasses.replace(CONFIG, model="cnn", clip_norm=1e-3, dropout=0.3, epochs=1, optimizer="adamw", l1=0.0)


@pytest.mark.parametrize(("config", "until"), [
    (dataclasses.replace(CONFIG, precision="float64", ema=0.9, label_smoothing=0.1, class_weights="0=2"), None),
    (dataclasses.replace(CONFIG, precision="bfloat16", penalize="hidden", summary_every=0), None),
    (dataclasses.replace(CONFIG, proximal=True, optimizer="momentum", l1=2.0), 9)])
def test_other_runs_hold_too(tmp_path: pathlib.Path, dataset: Dataset, config: Config, until: int | None) -> None:
    config, data = dataclasses.replace(config, model_dir=str(tmp_path)), dataset
    if config.class_weights is not None:
        data = dataclasses.replace(dataset, class_weights=config.class_weights)
    try:
        fit(config, data, until=until)
    except Interrupted:
        assert until
    found = certify(tmp_path, data=data)
    assert found.mismatches == [] and found.network.step == (until or 14)
    assert len(cautions(found)) == (config.ema is not None)
    assert (found.zeros > 0) == config.proximal


@pytest.mark.parametrize(("edit", "file", "tag", "step"), [
    (lambda at: change_line(at, 14, "train", "epoch/data_loss", 0.5), "metrics.jsonl", "epoch/total", 14),
    (lambda at: change_line(at, 7, "validation", "penalty/dense_0/l1", 0.5), "metrics.jsonl", "penalty/l1", 7),
    (lambda at: change_line(at, 3, "train", "learning_rate", 0.5), "metrics.jsonl", "learning_rate", 3),
    (lambda at: change_line(at, 7, "train", "generalization/accuracy", 0.5), "metrics.jsonl",
     "generalization/accuracy_gap", 7),
    (lambda at: change_line(at, 3, "train", "gradient_norm/data", 0.5), "metrics.jsonl", "gradient_norm/data", 3),
    (lambda at: change_event(at, "validation", 14, "sparsity/dense_0", 0.5), "validation/", "sparsity/dense_0", 14),
    (lambda at: change_event(at, "train", 6, "norm/logits/l2", 9.0), "train/", "norm/logits/l2", 6),
    (lambda at: change_json(at / "result.json", lambda told: told["weights"].update({"penalty/l2": 9.0})),
     "result.json", "weights/penalty/l2", None),
    (lambda at: change_json(at / "result.json", lambda told: told.update(sparsity=0.99)), "result.json", "sparsity",
     None),
    (lambda at: change_json(at / "result.json", lambda told: told.update(seconds=1e9)), "result.json", "", None),
    (lambda at: (at / "result.json").unlink(), "result.json", "", None),
    (lambda at: (at / "metrics.jsonl").write_text("{}\n"), "metrics.jsonl", "", None),
    (lambda at: [path.unlink() for path in (at / "train").iterdir()], "train/", "measured, train", 0),
])
def test_a_changed_figure_is_named(copy: pathlib.Path, dataset: Dataset, edit: Callable[[pathlib.Path], object],
                                   file: str, tag: str, step: int | None) -> None:
    edit(copy)
    found = certify(copy, data=dataset)
    places = [(one.file, one.tag, one.step) for one in found.mismatches]
    assert any(name.startswith(file) and (of, at) == (tag, step) for name, of, at in places), places
    assert "DO NOT HOLD" in " ".join(lines_of(found))


def test_the_value_found_and_the_value_it_should_be_are_told(copy: pathlib.Path, dataset: Dataset) -> None:
    right = certify(copy, data=dataset).evaluation.validation["data_loss"]
    change_line(copy, 14, "validation", "epoch/data_loss", 0.5)
    first = next(one for one in certify(copy, data=dataset).mismatches if one.tag == "epoch/data_loss")
    assert (first.found, first.expected) == (0.5, right)
    assert str(first) == f"metrics.jsonl, epoch/data_loss at step 14: 0.5, and should be {right}"


@pytest.mark.parametrize(("damage", "said"), [
    (lambda at: (at / "config.json").unlink(), "holds no run"), (lambda at: (at / "run.json").unlink(), "run.json"),
    (lambda at: [path.unlink() for path in (at / "checkpoints").glob("ckpt-*")], "holds no checkpoint"),
    (lambda at: (at / "checkpoints/ckpt-14.index").write_bytes(b"?"), "cannot be read"),
    (lambda at: (at / "data.json").write_text("{}"), "data.json")])
def test_a_damaged_folder_is_refused_in_a_line(copy: pathlib.Path, dataset: Dataset, said: str,
                                               damage: Callable[[pathlib.Path], object]) -> None:
    damage(copy)
    with pytest.raises(ConfigError, match=said):
        certify(copy, data=dataset)


def by_hand(config: Config, dataset: Dataset, w: np.ndarray, b: np.ndarray) -> Certificate:
    """The certificate of a network of given weights, without figures."""
    config = dataclasses.replace(config, precision="float64")
    weights = Weights({"logits": {"kernel": tf.constant(w), "bias": tf.constant(b)}})
    network = Network(config, make_model(config, dataset.input_shape, dataset.classes), weights, dataset.input_shape,
                      dataset.divisor, dataset.classes, 0, None)
    step = make_step(config, dataset)
    found = distances(network, step, make_hyperparameters(config, step),
                      data_gradient(network, step, dataset.train, np.ones(len(dataset.train)), 20))
    told = dataclasses.make_dataclass("Told", ["train", "weights"])(
        {name: config.strengths[name] for name in config.strengths}, {})
    return Certificate(network, told, float(np.mean(w == 0)), found,
                       {"logits/kernel": w.size, "logits/bias": b.size}, None, {}, [])


@pytest.mark.parametrize(("l1", "l2"), [(0.02, 0.0), (0.02, 0.01), (0.0, 0.01)])
def test_at_scikit_learns_optimum_the_distance_is_0_and_the_zeros_are_settled(dataset: Dataset, l1: float,
                                                                             l2: float) -> None:
    config, n = Config(hidden=(), l1=l1, l2=l2, batch_size=53), len(dataset.train)
    strength = l1 + 2 * l2
    fitted = LogisticRegression(C=1 / (strength * n), l1_ratio=l1 / strength, solver="saga", tol=1e-12,
                                max_iter=10**6, random_state=0)
    fitted.fit(dataset.train.x.astype(float), dataset.train.y)
    w, b = fitted.coef_.T.copy(), fitted.intercept_.copy()
    found = by_hand(config, dataset, w, b)
    kernel = found.distances["logits/kernel"]
    assert kernel.largest < 1e-8 and found.distances["logits/bias"].largest < 1e-8
    assert kernel.within == 1 and kernel.moving == 0 and kernel.settled_zeros == np.mean(w == 0)
    assert (kernel.settled_zeros > 0) == (l1 > 0)
    assert answer(found).startswith("Sparse: " if l1 else "Trained, and not sparse")
    if l1:  # A subgradient leaves the zeros small, and their distance is then twice the strength at most.
        small = np.where(w == 0, 1e-5, w)
        kernel = (near := by_hand(config, dataset, small, b)).distances["logits/kernel"]
        assert kernel.nearly_zeros == np.mean(w == 0) and kernel.moving == 0 and kernel.largest <= 2.01 * l1
        assert answer(near).startswith("Trained, but small where it should be sparse")
    assert answer(by_hand(config, dataset, w + 0.1, b)).startswith("Under-trained")


def test_what_else_moves_the_weights_is_told(tmp_path: pathlib.Path) -> None:
    random = np.random.default_rng(0)
    images = from_arrays(random.random((20, 4, 4)), random.integers(0, 2, 20), validation_split=0.2)
    fit(dataclasses.replace(CNN, model_dir=str(tmp_path / "run")), images)
    found = certify(tmp_path / "run", data=images)
    assert found.holds and found.clipped == 1
    for told, word in zip(cautions(found), ("clip_norm=0.001", "weight decay", "--dropout", "averages"), strict=True):
        assert word in told
    assert [path for path, one in found.distances.items() if one.strength] == ["dense_0/kernel", "logits/kernel"]


def test_the_command_prints_lines_or_json(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    fit(dataclasses.replace(CONFIG, train_size=60, hidden=(), epochs=1, model_dir=str(folder)))
    assert command.main(["run", str(folder)]) == exit_codes.SUCCESS
    lines, err = capfd.readouterr()
    assert lines.splitlines()[0] == (f"{folder}: last state, step 8, MLP 64-10, relu, float32, computed again in "
                                     "float64")
    assert "all hold, of those" in lines and "Answer      Under-trained: " in lines and err == ""
    assert max(map(len, lines.splitlines()[1:])) <= 120
    change_line(folder, 8, "train", "epoch/total", 0.5)
    assert command.main(["run", str(folder), "--json", "--state=best"]) == exit_codes.VERDICT_FAILED == 4
    out, err = capfd.readouterr()
    told = json.loads(out)
    assert told["holds"] is False and told["mismatches"][0]["tag"] == "epoch/total" and "should be" in err
    assert set(told["distances"]) == {"logits/kernel", "logits/bias"} and told["answer"].startswith("Under-trained")


@pytest.mark.parametrize(("argv", "said"), [
    ([], "name the folder of a run"), (["/nowhere"], "holds no run"),
    (["--state=first", "--model_dir=x"], "--state=first"), (["x", "--sate=last"], "did you mean --state?")])
def test_bad_input_is_code_2_and_one_line(argv: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert command.main(["run", *argv]) == exit_codes.BAD_INPUT
    out, err = capfd.readouterr()
    assert out == "" and said in err and err.count("\n") == 1
