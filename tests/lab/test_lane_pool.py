"""Lanes that stop early: each is the run that `fit` makes of it, whoever shares its place and its program."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from reglab.config import Config
from reglab.data import Dataset
from reglab.lab.courses import Course, curves_of
from reglab.lab.lanes import Lane, LaneTrainer, Waiting
from reglab.run.loop import fit

pytestmark = pytest.mark.usefixtures("shared_compilation")

# 53 examples in batches of 8: 7 steps an epoch. Fast lanes memorize them soon, and stop; slow ones take all epochs.
CONFIG = Config(hidden=(8,), batch_size=8, epochs=9, patience=2, precision="float64", jit=False, summary_every=0,
                schedule="plateau", decay_patience=1, data_seed=5)
LANES = [Lane({"l1": l1}, rate, seed) for l1 in (0.0, 0.01)
         for rate, seed in ((0.3, 0), (0.03, 1), (0.1, 2), (0.003, 3))]
# Two orders of the data: only lanes of one order may share a batch.
WAITING = [Waiting(lane, 5 + (at >= 6)) for at, lane in enumerate(LANES)]
Few = tuple[list[Course], LaneTrainer, list[int]]


def courses(dataset: Dataset, places: int, on_step: Any = lambda step: None, **fields: Any
            ) -> tuple[list[Course], LaneTrainer]:
    trainer = LaneTrainer(dataclasses.replace(CONFIG, **fields), dataset, places)
    ended = dict(trainer.train_waiting(WAITING, on_step=on_step))
    return [ended[at] for at in range(len(WAITING))], trainer


@pytest.fixture(scope="module")
def few(dataset: Dataset) -> Few:
    """All lanes, three places for them, and the steps of which `on_step` was told."""
    steps: list[int] = []
    return (*courses(dataset, 3, steps.append), steps)


def test_each_lane_is_the_run_that_trains_it_alone(few: Few, dataset: Dataset) -> None:
    for course, (lane, order_seed, _) in zip(few[0], WAITING, strict=True):
        alone = fit(dataclasses.replace(lane.config(CONFIG), data_seed=order_seed), dataset)
        ended = alone.result["early_stopping"]
        assert (course.epochs[-1], course.epochs[course.end]) == (ended["epochs"], alone.result["epochs"])
        for row, evaluation in zip(course.rows, alone.evaluations[:-1], strict=True):
            for name in ("data_loss", "accuracy"):
                np.testing.assert_allclose(row.train[name], evaluation.train[name], rtol=1e-10)
                np.testing.assert_allclose(row.validation[name], evaluation.validation[name], rtol=1e-10)
        for layer, arrays in alone.parameters.items():
            for name, array in arrays.items():
                np.testing.assert_allclose(course.weights.parameters[layer][name], array, rtol=0, atol=1e-10)


def test_places_do_not_matter_and_are_not_kept_by_lanes_that_ended(few: Few, dataset: Dataset) -> None:
    many, trainer = courses(dataset, 4)
    trained = [course.epochs[-1] for course in few[0]]
    assert len(set(trained)) > 2 and max(trained) == 9  # They do stop at different epochs.
    assert trained == [course.epochs[-1] for course in many]
    for mine, theirs in zip(few[0], many, strict=True):
        np.testing.assert_allclose([row.validation["data_loss"] for row in mine.rows],
                                   [row.validation["data_loss"] for row in theirs.rows], rtol=1e-10)
    useful, all_steps = 7 * sum(trained), 7 * 9 * len(LANES)
    assert useful <= few[1].place_steps < all_steps and useful <= trainer.place_steps


def test_progress_ends_with_all_the_steps_that_were_asked_for(few: Few) -> None:
    steps = few[2]
    assert steps == sorted(steps) and 7 * 9 * len(LANES) - 7 * len(LANES) < steps[-1] <= 7 * 9 * len(LANES)


def test_curves_go_on_with_the_state_in_which_a_lane_is_frozen(few: Few) -> None:
    curves = curves_of(few[0], few[1].kernel_entries)
    losses = curves.validation["data_loss"]
    assert curves.ends is not None and curves.trained is not None and losses.shape == (9, 8)
    for lane, (end, trained) in enumerate(zip(curves.ends, curves.trained, strict=True)):
        assert end == np.argmin(losses[:trained, lane])
        assert (losses[trained:, lane] == losses[end, lane]).all()
        assert curves.final(losses)[lane] == losses[end, lane]
    assert curves.parameters["logits"]["kernel"].shape == (8, 8, 3)


def test_a_lane_that_diverged_ends_there_and_does_not_count_as_stopped(dataset: Dataset) -> None:
    told: list[str] = []
    trainer = LaneTrainer(dataclasses.replace(CONFIG, optimizer="sgd", schedule="constant", decay_patience=None),
                          dataset, 2)
    lanes = [Waiting(Lane(learning_rate=rate), 5) for rate in (1e200, 0.1, 0.2)]
    ended = dict(trainer.train_waiting(lanes, warn=told.append))
    curves = curves_of([ended[at] for at in range(3)], 1)
    assert curves.diverged.tolist() == [True, False, False]
    assert curves.trained is not None and curves.trained[0] == 1
    assert [blowup.lane for blowup in curves.blowups] == [0] and len(told) == 1 and told[0].startswith("lane 0 (")
