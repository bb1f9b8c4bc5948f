"""A rate that falls where the validation data loss no longer does: when, by how much, and however a run is stopped."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config, ConfigError
from reglab.data import Dataset
from reglab.lab.lanes import Lane, LaneTrainer
from reglab.run.loop import History, Interrupted, fit
from reglab.run.plateau import Decay

pytestmark = pytest.mark.usefixtures("shared_compilation")

# 53 training examples in batches of 8: 7 steps an epoch. The rate is so high that the loss soon rises.
CONFIG = Config(hidden=(4,), batch_size=8, epochs=12, learning_rate=0.5, l1=0.01, summary_every=7, jit=False,
                schedule="plateau", decay_factor=0.25, decay_patience=2, precision="float64", keep=99)


def expected_rates(data_losses: list[float], config: Config) -> list[float]:
    """The rate after each evaluation, by the rule as Keras' ReduceLROnPlateau and PyTorch's tell it."""
    rates, best, since, rate = [], math.inf, 0, config.learning_rate
    for data_loss in data_losses:
        best, since = (data_loss, 0) if data_loss < best - config.min_delta else (best, since + 1)
        if since == 2:
            rate, since = rate * 0.25, 0
        rates.append(rate)
    return rates


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, History]:
    folder = tmp_path_factory.mktemp("run")
    return folder, fit(dataclasses.replace(CONFIG, model_dir=str(folder)), dataset)


def saved(folder: pathlib.Path, step: int) -> dict[str, bytes]:
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{step}"))
    return {name: np.asarray(reader.get_tensor(name)).tobytes() for name in reader.get_variable_to_shape_map()
            if "OBJECT_GRAPH" not in name}


def test_the_rate_falls_after_as_many_evaluations_without_a_lower_loss(run: tuple[pathlib.Path, History]) -> None:
    folder, history = run
    expected = expected_rates([each.validation["data_loss"] for each in history.evaluations], CONFIG)
    assert len(set(expected)) > 2, "otherwise nothing is tested"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found = [line["learning_rate"] for line in lines if "learning_rate" in line]
    np.testing.assert_allclose(found, [0.5, *expected[:-1]], rtol=1e-14)  # A step is measured before its update.
    assert history.result["plateau"]["learning_rate"] == pytest.approx(expected[-1])


def test_stopped_between_and_after_decays_it_ends_with_the_same_bits(run: tuple[pathlib.Path, History],
                                                                     dataset: Dataset, tmp_path: pathlib.Path) -> None:
    folder, history = run
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path))
    for until in (24, 35, 61):
        with pytest.raises(Interrupted):
            fit(config, dataset, until=until)
    again = fit(config, dataset)
    assert saved(tmp_path, 84) == saved(folder, 84)
    assert again.result["plateau"] == history.result["plateau"]


def test_each_lane_has_its_own_rate_and_is_the_run_alone(run: tuple[pathlib.Path, History], dataset: Dataset) -> None:
    _, history = run
    trainer = LaneTrainer(CONFIG, dataset, 2)
    lanes = [Lane(l1=0.5, learning_rate=0.001, seed=3), Lane.of(CONFIG)]
    for _ in range(2):  # The second set begins with the first rates again.
        curves = trainer.train(lanes)
        np.testing.assert_allclose(curves.validation["data_loss"][:, 1],
                                   [each.validation["data_loss"] for each in history.evaluations], rtol=1e-10)
        for mine, theirs in zip(tf.nest.flatten(curves.parameters), tf.nest.flatten(history.parameters), strict=True):
            np.testing.assert_allclose(mine[1], theirs, atol=1e-10)


def test_an_evaluation_that_is_not_finite_is_no_improvement() -> None:
    decay = Decay(dataclasses.replace(CONFIG, min_delta=0.1))
    for data_loss in (1.0, math.nan, 0.95):  # 0.95 is lower, but not by more than 0.1.
        decay.note(data_loss)
    assert (decay.decays, decay.rate(0.5), decay.known) == (1, 0.125, (1.0, 0.0, 1.0))


def test_going_on_with_another_measure_of_improvement_is_refused(run: tuple[pathlib.Path, History],
                                                                 dataset: Dataset) -> None:
    folder, _ = run
    with pytest.raises(ConfigError, match="min_delta"):
        fit(dataclasses.replace(CONFIG, model_dir=str(folder), min_delta=0.5, epochs=20), dataset)
