"""A stranger's penalty: one class, registered, and with no other edit everything that a penalty of reglab's own has."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from reglab.cli import flags
from reglab.compare import compare
from reglab.config import Config
from reglab.core.penalties import Penalty, registry
from reglab.core.step import Batch
from reglab.data import Dataset, epoch_order
from reglab.engine.assembly import make_hyperparameters, make_step
from reglab.lab.grid import Grid
from reglab.run.loop import fit
from reglab.run.report import hyperparameters
from reglab.sweep import path, sweep


class Negative(Penalty):
    """Ω(W) = Σ max(−W, 0): what is below zero costs."""

    name, title, symbol = "negative", "Negative", "|w| below 0"
    formula = norm_formula = "sum max(-W, 0)"
    help, source = "Strength of the penalty of negative weights.", "this test"

    def terms(self, w: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(-w)

    def gradient(self, w: tf.Tensor) -> tf.Tensor:
        return -tf.cast(w < 0, w.dtype)

    def proximal(self, w: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(w) - tf.nn.relu(-w - threshold)

    def least_subgradient(self, w: tf.Tensor, gradient: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        at_zero = tf.nn.relu(gradient - strength) - tf.nn.relu(-gradient)
        return tf.where(w == 0, at_zero, gradient + strength * self.gradient(w))


@pytest.fixture(autouse=True)
def negative() -> Iterator[None]:
    registry.register(Negative())
    yield
    registry.unregister("negative")


SOFTMAX = Config(hidden=(), optimizer="sgd", learning_rate=0.1, precision="float64", batch_size=8, epochs=2,
                 summary_every=1, l1=0.003, l2=0.005)
STRENGTH = 0.02


def by_numpy(data: Dataset, strength: float) -> np.ndarray:
    """The kernel of softmax regression after the epochs of `SOFTMAX`."""
    initial = make_step(SOFTMAX, data).model.initialize(0).parameters["logits"]
    w, b = (np.array(initial[name]) for name in ("kernel", "bias"))
    x, y = data.train.x.astype(np.float64), np.eye(data.classes)[data.train.y]
    for epoch in range(SOFTMAX.epochs):
        order = epoch_order(0, epoch, len(x))
        for ids in (order[at:at + 8] for at in range(0, len(x), 8)):
            p = np.exp(x[ids] @ w + b)
            error = (p / p.sum(1, keepdims=True) - y[ids]) / len(ids)
            pull = SOFTMAX.l1 * np.sign(w) + 2 * SOFTMAX.l2 * w - strength * (w < 0)
            w, b = w - 0.1 * (x[ids].T @ error + pull), b - 0.1 * error.sum(0)
    return w


def test_its_flag_has_help_and_its_strengths_are_checked() -> None:
    text = flags.help_text("reglab.train", "")
    assert "  --negative            Strength of the penalty of negative weights. Default: 0." in text
    assert ("data loss + l1 * sum |W| + l2 * sum W^2 + group_l1 * sum sqrt(size) ||W_g|| "
            "+ negative * sum max(-W, 0)") in text
    config = flags.parse(["--negative=logits=0.02;dense_0=1e-3"]).config
    assert Config.from_dict(config.to_dict()) == config != Config()
    assert "negative" not in Config().to_dict()


def test_it_trains_to_the_weights_of_numpy_and_leaves_its_figures(
        tmp_path: pathlib.Path, dataset: Dataset, read_events: Callable[..., Any]) -> None:
    run = fit(dataclasses.replace(SOFTMAX, negative=STRENGTH, model_dir=str(tmp_path / "run")), dataset)
    w = run.parameters["logits"]["kernel"]
    np.testing.assert_allclose(w, by_numpy(dataset, STRENGTH), rtol=1e-12, atol=1e-14)
    assert np.abs(w - by_numpy(dataset, 0)).max() > 1e-3
    expected = STRENGTH * np.maximum(-w, 0).sum()
    assert run.result["train"]["negative"] == pytest.approx(expected, rel=1e-12)
    assert run.result["train"]["penalty"] == pytest.approx(
        expected + SOFTMAX.l1 * np.abs(w).sum() + SOFTMAX.l2 * (w * w).sum(), rel=1e-12)
    assert run.result["weights"]["norm/logits/negative"] == pytest.approx(expected / STRENGTH, rel=1e-12)
    pull = SOFTMAX.l1 * np.sign(w) + 2 * SOFTMAX.l2 * w - STRENGTH * (w < 0)
    assert run.result["weights"]["gradient_norm/penalty"] == pytest.approx(np.linalg.norm(pull), rel=1e-12)
    for split in ("train", "validation"):
        assert {"penalty/negative", "penalty/logits/negative"} <= set(read_events(tmp_path / "run" / split))
    content = EventAccumulator(str(tmp_path / "run/validation"), {"tensors": 0}).Reload().PluginTagToContent("hparams")
    page = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/experiment"]).experiment
    assert [info.name for info in page.hparam_infos][:3] == ["l1", "l2", "negative"]


def test_its_gradient_is_that_of_the_tape(dataset: Dataset) -> None:
    config = Config(negative=STRENGTH, l1=0.003, precision="float64", hidden=(4,))
    step = make_step(config, dataset)
    hyper, parameters = make_hyperparameters(config, step), step.model.initialize(0).parameters
    batch = Batch(tf.constant(dataset.train.x, tf.float64), tf.constant(dataset.train.y),
                  tf.ones([53], tf.float64), tf.constant(53.0, tf.float64))
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        total = step.objective(parameters, batch, hyper).total
    tapes = tape.gradient(total, parameters)
    _, data, _ = step.data_gradient(parameters, batch)
    for layer, gradient in step.penalty_gradient(parameters, hyper).items():
        np.testing.assert_allclose(data[layer]["kernel"] + gradient["kernel"], tapes[layer]["kernel"], rtol=1e-12,
                                   atol=1e-15)


def test_it_is_an_arm_of_a_comparison_and_an_axis_of_a_sweep_and_of_a_path(tmp_path: pathlib.Path,
                                                                          dataset: Dataset) -> None:
    compared = compare(dataclasses.replace(SOFTMAX, l2=0.0, negative=STRENGTH), 2, dataset).result
    assert [arm["name"] for arm in compared["arms"]] == ["none", "l1", "negative", "l1_and_negative"]
    assert compared["arms"][2]["negative"] == STRENGTH and compared["arms"][2]["l1"] == 0
    assert compared["arms"][2]["final"]["norm_negative"]["mean"] < compared["arms"][0]["final"]["norm_negative"]["mean"]

    grid = Grid(negative=(0.0, STRENGTH), l2=(0.0, 0.01))
    swept = sweep(dataclasses.replace(SOFTMAX, model_dir=str(tmp_path / "sweep")), grid, data=dataset)
    assert swept.result["grid"]["negative"] == [0.0, STRENGTH] and len(swept.result["points"]) == 4
    assert {point["negative"] for point in swept.result["points"]} == {0.0, STRENGTH}
    assert "Negative strength" in (tmp_path / "sweep/heatmap.svg").read_text()
    walked = path(dataclasses.replace(SOFTMAX, model_dir=str(tmp_path / "path")),
                  Grid(negative=(0.001, STRENGTH), l1=(0.003,)), data=dataset)
    assert walked.result["along"] == "negative"
    assert "Negative strength (nats per |w| below 0)" in (tmp_path / "path/path.svg").read_text()


def test_runs_that_give_it_no_strength_are_as_if_it_were_not_there(dataset: Dataset) -> None:
    assert [term.name for term in make_step(Config(l1=1e-3), dataset).terms] == ["l1", "l2"]
    assert "negative" not in hyperparameters(Config())
