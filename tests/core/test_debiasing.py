"""Debiasing against NumPy, SciPy and an uninterrupted run: zeros stay, penalties with a kink are off, nothing else."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from reglab.certify.certificate import certify
from reglab.config import Config, ConfigError
from reglab.data import Dataset, epoch_order
from reglab.lab.lanes import Lane, LaneTrainer
from reglab.run.loop import Interrupted, fit

pytestmark = pytest.mark.usefixtures("shared_compilation")

# 53 examples in batches of 8: 7 steps an epoch; the last two of four epochs debias, from step 14 on.
CONFIG = Config(hidden=(), batch_size=8, epochs=4, debias_epochs=2, proximal=True, l1=0.05, l2=0.01, optimizer="sgd",
                learning_rate=0.2, precision="float64", summary_every=7, jit=False)


def by_numpy(config: Config, data: Dataset, w: np.ndarray, b: np.ndarray,
             steps: range) -> tuple[np.ndarray, np.ndarray]:
    """Steps of proximal gradient descent on softmax regression; while debiasing, of gradient descent on its support."""
    x, y, size = data.train.x.astype(float), data.train.y, config.batch_size
    an_epoch = -(-len(y) // size)
    for step in steps:
        epoch, at = divmod(step, an_epoch)
        batch = epoch_order(config.resolved_data_seed, epoch, len(y))[at * size:(at + 1) * size]
        p = scipy.special.softmax(x[batch] @ w + b, axis=1)
        p[np.arange(len(batch)), y[batch]] -= 1
        moved = w - config.learning_rate * (x[batch].T @ p / len(batch) + 2 * config.l2 * w)
        b = b - config.learning_rate * p.mean(axis=0)
        if step >= (config.epochs - config.debias_epochs) * an_epoch:
            w = np.where(w == 0, 0, moved)
        else:
            w = np.sign(moved) * np.maximum(np.abs(moved) - config.learning_rate * config.l1, 0)
    return w, b


def arrays(history: Any) -> tuple[np.ndarray, np.ndarray]:
    return history.parameters["logits"]["kernel"], history.parameters["logits"]["bias"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Any:
    folder = tmp_path_factory.mktemp("debiased") / "run"
    return fit(dataclasses.replace(CONFIG, model_dir=str(folder)), dataset)


def test_zeros_are_held_and_l1_is_off_as_in_numpy(whole: Any, dataset: Dataset) -> None:
    main = fit(dataclasses.replace(CONFIG, epochs=2, debias_epochs=0), dataset)
    w, b = arrays(main)
    assert 0 < np.sum(w == 0) < w.size
    expected = by_numpy(CONFIG, dataset, w, b, range(14, 28))
    for found, right in zip(arrays(whole), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(arrays(whole)[0] == 0, w == 0)
    assert np.abs(arrays(whole)[0]).sum() > np.abs(w).sum()  # No longer shrunk.


def test_an_interrupted_run_goes_on_to_the_same_bits(whole: Any, dataset: Dataset, tmp_path: pathlib.Path) -> None:
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path / "run"))
    for until in (10, 14, 18):
        with pytest.raises(Interrupted):
            fit(config, dataset, until=until)
    for found, right in zip(arrays(fit(config, dataset)), arrays(whole), strict=True):
        assert found.tobytes() == right.tobytes()
    with pytest.raises(ConfigError, match="--debias_epochs the number of epochs decides when penalties end"):
        fit(dataclasses.replace(config, epochs=5), dataset)
    with pytest.raises(ConfigError, match="debias_epochs: 1, not 2"):
        fit(dataclasses.replace(config, debias_epochs=1), dataset)


def test_the_penalty_that_is_off_is_told_as_0_and_the_figures_hold(whole: Any, dataset: Dataset) -> None:
    folder = pathlib.Path(whole.config.model_dir)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    told = {(line["step"], "epoch/total" in line): line["penalty/l1"] for line in lines if "penalty/l1" in line}
    assert {key for key, value in told.items() if value == 0} == {(14, False), (21, False), (21, True), (28, True)}
    assert {key for key, value in told.items() if value > 0} == {(0, False), (7, False), (7, True), (14, True)}
    assert whole.result["train"]["l1"] == 0 and whole.result["train"]["l2"] > 0 and whole.result["zeros"] > 0
    for state in ("last", "best"):
        assert certify(folder, state, data=dataset).mismatches == []


def test_lanes_debias_as_runs_do(dataset: Dataset) -> None:
    lanes = [Lane(l1=0.05, l2=0.01, learning_rate=0.2), Lane(l1=0.0, learning_rate=0.2, seed=3)]
    curves = LaneTrainer(CONFIG, dataset, 2).train(lanes)
    for at, lane in enumerate(lanes):
        kernel = arrays(fit(lane.config(CONFIG), dataset))[0]
        np.testing.assert_allclose(curves.parameters["logits"]["kernel"][at], kernel, rtol=0, atol=1e-13)
    assert curves.weights["penalty/l1"][:, 0].tolist()[2:] == [0, 0] and (curves.weights["penalty/l1"][:2, 0] > 0).all()


@pytest.mark.parametrize(("optimizer", "rate"), [("momentum", 0.3), ("adam", 0.05)])
def test_it_settles_at_the_optimum_on_its_support(dataset: Dataset, optimizer: str, rate: float) -> None:
    config = dataclasses.replace(CONFIG, batch_size=53, epochs=900, debias_epochs=600, optimizer=optimizer, l2=0.05,
                                 learning_rate=rate, evaluate_every=900, summary_every=0)
    w, b = arrays(fit(config, dataset))
    x, y, support = dataset.train.x.astype(float), dataset.train.y, w != 0
    assert 0 < support.sum() < w.size

    def objective(z: np.ndarray) -> float:
        kernel = np.zeros_like(w)
        kernel[support] = z[3:]
        log_p = scipy.special.log_softmax(x @ kernel + z[:3], axis=1)
        return float(-log_p[np.arange(len(y)), y].mean() + 0.05 * np.square(z[3:]).sum())

    best = scipy.optimize.minimize(objective, np.zeros(3 + support.sum()), options={"gtol": 1e-9})
    np.testing.assert_allclose(w[support], best.x[3:], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("fields", "said"), [
    ({"proximal": False}, "--debias_epochs=2: it holds what is exactly 0, and only --proximal"),
    ({"epochs": 2}, "--debias_epochs=2: they are the last of all epochs, and there are 2"),
    ({"patience": 3}, "--debias_epochs=2: with --patience"),
    ({"debias_epochs": -1}, "--debias_epochs=-1: give a number")])
def test_what_makes_no_sense_is_refused_in_a_line(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        dataclasses.replace(CONFIG, **fields)
    with pytest.raises(ConfigError, match="--debias_epochs=2: --path trains until"):
        from reglab.lab.grid import Grid
        from reglab.sweep.options import check_path
        check_path(Grid(strengths={"l1": (0.1, 0.2)}), None, None, debias_epochs=2)
