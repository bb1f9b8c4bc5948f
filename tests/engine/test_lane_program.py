"""Groups of lanes against one program of all lanes and against runs alone, and the count of compilations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from reglab.core.parameters import Weights, map_arrays
from reglab.data import Dataset, epoch_order
from reglab.engine import lane_program
from reglab.engine.lane_program import LaneProgram
from reglab.engine.program import Program

MakeProgram = Callable[..., Program]
LANES: dict[str, Any] = {"l1": (0.0, 0.01, 0.03, 0.0, 0.02), "l2": (0.02, 0.0, 0.1, 0.0, 0.0),
                         "learning_rate": (0.01, 0.03, 0.001, 0.01, 0.02), "seed": (3, 3, 8, 4, 5)}
BATCH = 8


def grouped(like: Program, dataset: Dataset, jit: bool = False, **settings: Any) -> LaneProgram:
    """The lanes of a program that has not taken a step, as a `LaneProgram`."""
    start = Weights(map_arrays(tf.identity, like.state["parameters"]))

    def make(weights: Any, hyper: Any) -> Program:
        return Program(like.step, weights, hyper, dataset, batch_size=BATCH, summary_every=0,
                       lanes=len(hyper.learning_rate), jit=jit)

    return LaneProgram(make, start, like.hyper, **settings)


def two_epochs(program: Program | LaneProgram, dataset: Dataset) -> np.ndarray:
    orders = [epoch_order(0, epoch, len(dataset.train)) for epoch in range(2)]
    return np.concatenate([program.run(order, 0, program.steps_per_epoch).data_losses for order in orders])


def numbers(program: Program | LaneProgram) -> dict[str, np.ndarray]:
    """All it tells of itself, lanes last."""
    weights = {f"{layer}/{name}": np.moveaxis(array, 0, -1) for layer, arrays in program.parameters().items()
               for name, array in arrays.items()}
    return {**weights, **program.inspect(), **{f"train {name}": value for name, value in
                                               program.evaluate("train").items()}, **program.evaluate("validation")}


class Together(NamedTuple):
    """A program of all lanes that has not taken a step, and what another one came to after two epochs."""

    start: Program
    losses: np.ndarray
    numbers: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def together(dataset: Dataset, make_program: MakeProgram) -> Together:
    trained, start = (make_program(dataset, **LANES, optimizer="adam", batch_size=BATCH) for _ in range(2))
    return Together(start, two_epochs(trained, dataset), numbers(trained))


@pytest.mark.parametrize(("group_size", "groups"), [(1, 5), (2, 3), (3, 2), (5, 1), (9, 1), (None, None)])
def test_groups_are_the_lanes_of_one_program(dataset: Dataset, together: Together, group_size: int | None,
                                             groups: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_program, "usable_cores", lambda: 1)
    apart = grouped(together.start, dataset, group_size=group_size)
    assert groups is None or len(apart.programs) == groups
    np.testing.assert_allclose(two_epochs(apart, dataset), together.losses, atol=1e-12)
    for name, value in numbers(apart).items():
        assert value.shape == together.numbers[name].shape
        np.testing.assert_allclose(value, together.numbers[name], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("cores", [2, 3])
def test_groups_at_work_at_the_same_time_share_one_trace(dataset: Dataset, together: Together, cores: int, jit: bool,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_program, "usable_cores", lambda: cores)
    apart = grouped(together.start, dataset, jit)
    assert len(apart.programs) == cores
    np.testing.assert_allclose(two_epochs(apart, dataset), together.losses, atol=1e-12)
    numbers(apart)
    for program in apart.programs:
        traced = (program._run, program._evaluate, program._inspect)
        assert [function.experimental_get_tracing_count() for function in traced] == [1, 1, 1]


def test_groups_leave_room_in_the_cache(dataset: Dataset, make_program: MakeProgram,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """4 (w, m, v, gradient) · 87 parameters · 8 bytes a lane."""
    like = make_program(dataset, **LANES, optimizer="adam", batch_size=BATCH)
    state = 4 * 8 * sum(array.shape[1:].num_elements() for array in tf.nest.flatten(like.state["parameters"]))
    monkeypatch.setattr(lane_program, "usable_cores", lambda: 2)
    for room, groups in ((2, 5), (4, 3), (100, 2)):  # Lanes at work at most: 1, 2 or all a core.
        monkeypatch.setattr(lane_program, "CACHE_BYTES", room * state)
        assert len(grouped(like, dataset).programs) == groups


def test_a_restart_and_other_data_reach_every_group(dataset: Dataset, make_program: MakeProgram) -> None:
    like = make_program(dataset, **LANES, optimizer="adam", batch_size=BATCH)
    apart = grouped(like, dataset, group_size=2)
    start = Weights(map_arrays(tf.identity, like.state["parameters"]))
    first = two_epochs(apart, dataset)
    backwards = dataclasses.replace(dataset, train=dataset.train.take(np.arange(len(dataset.train))[::-1]))
    apart.use_data(backwards)
    apart.restart(start, like.hyper)
    other = two_epochs(apart, dataset)
    assert (np.abs(other - first).max(0) > 1e-3).all()
    fresh = grouped(like, backwards, group_size=2)
    np.testing.assert_array_equal(two_epochs(fresh, dataset), other)


def test_a_lane_that_diverges_harms_no_other_of_its_group(dataset: Dataset, make_program: MakeProgram) -> None:
    hot = {**LANES, "learning_rate": (0.01, 1e200, 0.001, 0.01, 0.02), "l2": (0.02, 1e200, 0.1, 0.0, 0.0)}
    losses = {}
    for name, lanes in {"hot": hot, "cool": LANES}.items():
        like = make_program(dataset, **lanes, batch_size=BATCH)
        losses[name] = two_epochs(grouped(like, dataset, group_size=3), dataset)
    assert not np.isfinite(losses["hot"][-1, 1])
    others = [0, 2, 3, 4]
    np.testing.assert_array_equal(losses["hot"][:, others], losses["cool"][:, others])
