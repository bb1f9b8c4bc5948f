"""Runs with label smoothing, an average of the weights and falling rates: what they say, keep, export."""

from __future__ import annotations

import dataclasses
import io
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config
from reglab.console import Console
from reglab.console.plain import PlainConsole
from reglab.core.models import EVALUATION
from reglab.data import Dataset
from reglab.lab.lanes import Lane, LaneTrainer
from reglab.run.loop import History, Interrupted, fit
from reglab.trained.network import read_network

pytestmark = pytest.mark.usefixtures("shared_compilation")

# 53 training examples in batches of 8: 7 steps an epoch.
CONFIG = Config(hidden=(4,), batch_size=8, epochs=4, l1=0.01, l2=0.02, learning_rate=0.05, summary_every=3, jit=False,
                label_smoothing=0.25, ema=0.75, schedule="step", decay_every=1, decay_factor=0.5, precision="float64")


def saved(folder: pathlib.Path, step: int) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{step}"))
    return {name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): reader.get_tensor(name)
            for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name}


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, History]:
    folder = tmp_path_factory.mktemp("run")
    return folder, fit(dataclasses.replace(CONFIG, model_dir=str(folder), keep=9), dataset)


def test_evaluated_and_exported_is_the_average_of_the_weights(run: tuple[pathlib.Path, History],
                                                              dataset: Dataset) -> None:
    folder, history = run
    network, arrays = read_network(folder, "last"), saved(folder, 28)
    kernel = history.parameters["logits"]["kernel"]
    np.testing.assert_array_equal(kernel, arrays["slots/average/logits/kernel"])
    np.testing.assert_array_equal(kernel, network.parameters["logits"]["kernel"])
    assert not np.array_equal(kernel, arrays["parameters/logits/kernel"])
    logits = network.logits(dataset.validation.x)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), dataset.validation.y]
    np.testing.assert_allclose(history.result["validation"]["data_loss"], losses.mean(), rtol=1e-12)
    assert history.result["weights"]["penalty/l1"] == pytest.approx(
        0.01 * sum(np.abs(layer["kernel"]).sum() for layer in history.parameters.values()), rel=1e-12)


def test_the_smoothed_loss_is_told_beside_the_data_loss_and_is_part_of_the_total(run: tuple[pathlib.Path, History],
                                                                                 dataset: Dataset) -> None:
    folder, history = run
    model, (parameters, buffers) = read_network(folder, "last").model, (history.parameters, history.buffers)
    logits, _ = model.apply(parameters, buffers, tf.constant(dataset.train.x, tf.float64), EVALUATION)
    labels = 0.75 * np.eye(3)[dataset.train.y] + 0.25 / 3
    smoothed = -(labels * tf.nn.log_softmax(logits).numpy()).sum(1).mean()
    train = history.result["train"]
    np.testing.assert_allclose(train["smoothed_data_loss"], smoothed, rtol=1e-12)
    np.testing.assert_allclose(train["total"], smoothed + train["l1"] + train["l2"], rtol=1e-12)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    batches = [line for line in lines if "train_batch/total" in line]
    assert batches and all(line["train_batch/smoothed_data_loss"] + line["penalty/total"] == pytest.approx(
        line["train_batch/total"]) and "train_batch/data_loss" not in line for line in batches)
    assert [line["learning_rate"] for line in batches] == [0.05 * 0.5 ** (line["step"] // 7) for line in batches]
    ends = [line for line in lines if "epoch/total" in line]
    assert len(ends) == 8 and all(line["epoch/smoothed_data_loss"] + line["epoch/penalty"] == pytest.approx(
        line["epoch/total"]) for line in ends)
    best = min((line for line in ends if line["split"] == "validation"), key=lambda line: line["epoch/data_loss"])
    assert history.result["best"]["step"] == best["step"]


def test_stopped_and_gone_on_it_ends_with_the_same_bits(run: tuple[pathlib.Path, History], dataset: Dataset,
                                                        tmp_path: pathlib.Path) -> None:
    folder, history = run
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path), keep=9)
    for until in (3, 16):
        with pytest.raises(Interrupted):
            fit(config, dataset, until=until)
    again = fit(config, dataset)
    assert {name: array.tobytes() for name, array in saved(tmp_path, 28).items()} == {
        name: array.tobytes() for name, array in saved(folder, 28).items()}
    assert again.result["validation"] == history.result["validation"]


def test_a_lane_is_the_run_alone(run: tuple[pathlib.Path, History], dataset: Dataset) -> None:
    _, history = run
    lanes = [Lane(l1=0.5, learning_rate=0.1, seed=3), Lane.of(CONFIG)]
    curves = LaneTrainer(CONFIG, dataset, 2).train(lanes)
    for mine, theirs in zip(tf.nest.flatten(curves.parameters), tf.nest.flatten(history.parameters), strict=True):
        np.testing.assert_allclose(mine[1], theirs, atol=1e-12)
    for name in ("data_loss", "smoothed_data_loss", "accuracy"):
        np.testing.assert_allclose(curves.train[name][-1, 1], history.result["train"][name], rtol=1e-11)


def test_people_are_told_which_loss_and_which_weights_they_see(dataset: Dataset) -> None:
    shown = io.StringIO()
    console: Console = PlainConsole(shown)
    fit(dataclasses.replace(CONFIG, epochs=1), dataset, console=console)
    text = shown.getvalue()
    assert "step (x 0.5 every 1 epoch)" in text and "label smoothing 0.25" in text and "decay 0.75" in text
    assert "= smoothed data loss + penalty" in text
    assert any(line.split()[1:3] == ["loss", "smoothed"] for line in text.splitlines())
