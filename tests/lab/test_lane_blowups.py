"""A lane that blows up: told by lane, step and layer, left out with skip, and of no effect on any other to the bit."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.data import Dataset, Examples
from reglab.engine import pace
from reglab.engine.placement import LanePlacement
from reglab.lab.lane_blowups import Blowup, describe
from reglab.lab.lanes import Lane, LaneCurves, LaneTrainer
from reglab.run.loop import fit

pytestmark = pytest.mark.usefixtures("shared_compilation")

CONFIG = Config(hidden=(4,), batch_size=8, epochs=3, optimizer="sgd", jit=False, precision="float64",
                activation="relu")
GOOD = [Lane(l1=0.01, learning_rate=0.05, seed=0), Lane(l2=0.02, learning_rate=0.1, seed=1),
        Lane(learning_rate=0.02, seed=2)]
HOT = Lane(learning_rate=1e200, seed=3)


def trained(lanes: list[Lane], dataset: Dataset, warned: list[str] | None = None, **fields: Any) -> LaneCurves:
    trainer = LaneTrainer(dataclasses.replace(CONFIG, **fields), dataset, len(lanes))
    return trainer.train(lanes, warn=(warned if warned is not None else []).append)


@pytest.fixture(params=[1, 2, 9])
def group_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Lanes a group: alone, in pairs, all together."""
    monkeypatch.setattr(LanePlacement, "group_size", lambda self, lanes, bytes_each: min(request.param, lanes))
    return int(request.param)


@pytest.mark.parametrize("fields", [
    {}, {"clip_norm": 0.5}, {"on_nonfinite": "skip"},
    {"on_nonfinite": "skip", "clip_norm": 0.5, "jit": True, "hidden": ()},  # Small, as these are traced longest.
    {"on_nonfinite": "skip", "precision": "float32", "optimizer": "adam", "hidden": ()},
    {"precision": "bfloat16", "clip_norm": 0.5}])
def test_the_other_lanes_are_the_same_to_the_bit(dataset: Dataset, group_size: int, fields: dict[str, Any]) -> None:
    # Clipping bounds the gradient, so it has to be the rate.
    hot = Lane(learning_rate=1e308 if fields.get("precision", "float64") == "float64" else 3e38, seed=3)
    with_it = trained([GOOD[0], hot, *GOOD[1:]], dataset, **fields)
    without = trained([GOOD[0], GOOD[0], *GOOD[1:]], dataset, **fields)
    assert [blowup.lane for blowup in with_it.blowups] == [1]
    assert without.blowups == ()
    others = [0, 2, 3]
    for part in ("train", "validation", "weights"):
        for name, values in getattr(with_it, part).items():
            assert values[:, others].tobytes() == getattr(without, part)[name][:, others].tobytes()
    for layer, arrays in with_it.parameters.items():
        for name, array in arrays.items():
            assert array[others].tobytes() == without.parameters[layer][name][others].tobytes()


def test_lane_step_and_layer_are_told(dataset: Dataset, group_size: int) -> None:
    warned: list[str] = []
    curves = trained([*GOOD, HOT], dataset, warned)
    with pytest.raises(Exception, match="not finite at step (1|2):") as alone:
        fit(HOT.config(CONFIG), dataset)
    step = alone.value.step  # type: ignore[attr-defined]
    assert curves.blowups == (Blowup(3, step, 0),)
    assert len(warned) == 1
    assert warned[0].startswith(f"lane 3 (l1 = 0, l2 = 0, learning rate 1e+200, seed 3): step {step} is not finite "
                                "(first not finite: the ")
    assert any(layer in warned[0] for layer in ("dense_0", "logits"))
    assert "last finite: data loss " in warned[0]
    assert curves.diverged.tolist() == [False, False, False, True]


def test_only_the_first_lanes_are_told_one_by_one(dataset: Dataset) -> None:
    warned: list[str] = []
    curves = trained([HOT] * 5, dataset, warned)
    assert len(warned) == 3 and len(curves.blowups) == 5


def test_a_skipping_lane_is_the_run_alone(dataset: Dataset, group_size: int) -> None:
    x = dataset.train.x.copy()
    x[17, 2] = np.nan
    data = dataclasses.replace(dataset, train=Examples(x, dataset.train.y))
    curves = trained(GOOD, data, on_nonfinite="skip")
    assert [blowup.left_out for blowup in curves.blowups] == [3, 3, 3]  # Once an epoch.
    for at, lane in enumerate(GOOD):
        history = fit(dataclasses.replace(lane.config(CONFIG), on_nonfinite="skip"), data)
        assert history.result["nonfinite"]["left_out"] == 3
        for layer, arrays in history.parameters.items():
            for name, array in arrays.items():
                np.testing.assert_allclose(curves.parameters[layer][name][at], array, rtol=1e-12, atol=1e-14)


def test_calls_of_any_size_tell_the_same_step(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained([*GOOD, HOT], dataset)
    monkeypatch.setattr(pace, "FIRST_CALL_STEPS", 1)
    monkeypatch.setattr(pace, "SECONDS_PER_CALL", 1e-9)
    assert trained([*GOOD, HOT], dataset).blowups == whole.blowups


def test_lanes_have_no_checkpoints_to_go_back_to(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="--on_nonfinite=restore goes back to checkpoints, and lanes have none"):
        trained(GOOD, dataset, on_nonfinite="restore")


def test_all_of_them_in_a_line() -> None:
    assert describe([], 4) == []
    assert describe([{"step": 12, "left_out": 0}, {"step": 1000, "left_out": 0}], 4) == [
        "2 of 4 lanes had steps that are not finite, the first at step 12"]
    assert describe([{"step": 1200, "left_out": 7}], 4)[0].endswith("at step 1,200; 7 updates were left out")
