"""Groups of lanes against a single training of all lanes, and the number of compilations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from reglab.core.parameters import Weights, map_arrays
from reglab.data import Dataset
from reglab.engine.lane_groups import LaneGroups
from reglab.engine.placement import LanePlacement, lane_bytes
from reglab.engine.program import Program
from reglab.engine.sources.arrays import ArraySource
from reglab.engine.training import Training

MakeTraining = Callable[..., Training]
LANES: dict[str, Any] = {"l1": (0.0, 0.01, 0.03, 0.0, 0.02), "l2": (0.02, 0.0, 0.1, 0.0, 0.0),
                         "learning_rate": (0.01, 0.03, 0.001, 0.01, 0.02), "seed": (3, 3, 8, 4, 5)}
BATCH = 8


@dataclasses.dataclass(frozen=True)
class OfSize(LanePlacement):
    """One group at a time, of at most `size` lanes."""

    devices: tuple[str, ...] = ("CPU:0",)
    size: int = 1

    def group_size(self, lanes: int, bytes_each: int) -> int:
        return min(self.size, lanes)


def grouped(like: Training, dataset: Dataset, placement: LanePlacement, jit: bool = False) -> LaneGroups:
    """Returns the lanes of a training that has not taken a step, divided into groups."""
    start, source = Weights(map_arrays(tf.identity, like.state["parameters"])), ArraySource(dataset, BATCH, tf.float64)
    return LaneGroups(lambda lanes: Program(like.program.step, source.layout, summary_every=0, lanes=lanes, jit=jit),
                      start, like.hyper, source, placement)


def two_epochs(trained: Training | LaneGroups) -> np.ndarray:
    steps = 7
    if isinstance(trained, LaneGroups):
        return np.concatenate([trained.run(epoch, 0, steps) for epoch in range(2)])
    return np.concatenate([trained.run(epoch, 0, steps).data_losses for epoch in range(2)])


def numbers(trained: Training | LaneGroups) -> dict[str, np.ndarray]:
    """Returns everything that it reports about itself, with lanes as the last axis."""
    def of(training: Training) -> dict[str, np.ndarray]:
        weights = {f"{layer}/{name}": np.moveaxis(array, 0, -1) for layer, arrays in training.parameters().items()
                   for name, array in arrays.items()}
        return {**weights, **training.measure_weights(), **{f"train {name}": value for name, value in
                                                    training.evaluate("train").items()},
                **training.evaluate("validation")}

    return trained.joined(of) if isinstance(trained, LaneGroups) else of(trained)


class Together(NamedTuple):
    """A training of all lanes that has not taken a step, and the results of an equal one after two epochs."""

    start: Training
    losses: np.ndarray
    numbers: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def together(dataset: Dataset, make_training: MakeTraining) -> Together:
    trained, start = (make_training(dataset, **LANES, optimizer="adam", batch_size=BATCH) for _ in range(2))
    return Together(start, two_epochs(trained), numbers(trained))


@pytest.mark.parametrize(("size", "groups"), [(1, 5), (2, 3), (3, 2), (5, 1), (9, 1)])
def test_groups_are_the_lanes_of_one_training(dataset: Dataset, together: Together, size: int, groups: int) -> None:
    apart = grouped(together.start, dataset, OfSize(size=size))
    assert len(apart.trainings) == groups
    np.testing.assert_allclose(two_epochs(apart), together.losses, atol=1e-12)
    for name, value in numbers(apart).items():
        assert value.shape == together.numbers[name].shape
        np.testing.assert_allclose(value, together.numbers[name], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("cores", [2, 3])
def test_groups_at_work_at_the_same_time_share_one_trace(dataset: Dataset, together: Together, cores: int,
                                                         jit: bool) -> None:
    apart = grouped(together.start, dataset, LanePlacement(("CPU:0",), cores), jit)
    assert len(apart.trainings) == cores
    np.testing.assert_allclose(two_epochs(apart), together.losses, atol=1e-12)
    numbers(apart)
    program = apart.trainings[0].program
    assert all(training.program is program for training in apart.trainings)
    assert [function.experimental_get_tracing_count() for function in (program.run, program.evaluate,
                                                                       program.kernel_sums)] == [1, 1, 1]


def test_groups_leave_room_in_the_cache(dataset: Dataset, make_training: MakeTraining) -> None:
    """The state of a lane is 4 (w, m, v, gradient) · 87 parameters · 8 bytes."""
    like = make_training(dataset, **LANES, optimizer="adam", batch_size=BATCH)
    state = 4 * 8 * sum(array.shape[1:].num_elements() for array in tf.nest.flatten(like.state["parameters"]))
    assert lane_bytes(Weights(like.state["parameters"])) == 5 * state
    for room, groups in ((2, 5), (4, 3), (100, 2)):  # Each core can run at most 1 lane, 2 lanes, or all.
        assert len(grouped(like, dataset, LanePlacement(("CPU:0",), 2, room * state)).trainings) == groups


def test_a_restart_and_other_data_reach_every_group(dataset: Dataset, make_training: MakeTraining) -> None:
    like = make_training(dataset, **LANES, optimizer="adam", batch_size=BATCH)
    apart = grouped(like, dataset, OfSize(size=2))
    start = Weights(map_arrays(tf.identity, like.state["parameters"]))
    first = two_epochs(apart)
    backwards = dataclasses.replace(dataset, train=dataset.train.take(np.arange(len(dataset.train))[::-1]))
    apart.use_data(ArraySource(backwards, BATCH, tf.float64))
    apart.restart(start, like.hyper)
    other = two_epochs(apart)
    assert (np.abs(other - first).max(0) > 1e-3).all()
    fresh = grouped(like, backwards, OfSize(size=2))
    np.testing.assert_array_equal(two_epochs(fresh), other)


def test_a_lane_that_diverges_harms_no_other_of_its_group(dataset: Dataset, make_training: MakeTraining) -> None:
    hot = {**LANES, "learning_rate": (0.01, 1e200, 0.001, 0.01, 0.02), "l2": (0.02, 1e200, 0.1, 0.0, 0.0)}
    losses = {}
    for name, lanes in {"hot": hot, "cool": LANES}.items():
        like = make_training(dataset, **lanes, batch_size=BATCH)
        losses[name] = two_epochs(grouped(like, dataset, OfSize(size=3)))
    assert not np.isfinite(losses["hot"][-1, 1])
    others = [0, 2, 3, 4]
    np.testing.assert_array_equal(losses["hot"][:, others], losses["cool"][:, others])
