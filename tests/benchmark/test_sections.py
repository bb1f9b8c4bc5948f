"""What the sections report, on tiny networks in this process: structure, equal results, never a time."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.benchmark.limit import OPTIMIZER, PRODUCTS, Limit, step_flops
from reglab.benchmark.subjects import FIRST_STEPS, make_training, of_training
from reglab.benchmark.task import Task, lane_configs
from reglab.benchmark.worker import measure
from reglab.config import Config
from reglab.core.optimizers import make_optimizer
from reglab.core.parameters import map_arrays
from reglab.data import load
from reglab.engine.replicas import Replicas

CONFIG = Config(hidden=(5,), l1=1e-3, l2=1e-3, train_size=100, jit=False)


def run(section: str, **changes: Any) -> dict[str, Any]:
    result = measure(Task(section, CONFIG, 1e-3, 2, **changes))
    json.dumps(result, allow_nan=False)
    return result


def is_spread(value: dict[str, float]) -> bool:
    return 0 < value["min"] <= value["median"] <= value["max"]


def test_speed() -> None:
    result = run("speed")
    for name in ("steps_per_second", "examples_per_second", "examples_per_second_per_device", "step_time_us",
                 "peak_memory_bytes", "limit_share", "flops_per_second_per_device"):
        assert is_spread(result[name]), name
    assert result["flops_per_step"] == step_flops((64, 5, 10), 32)
    assert result["devices"] == 1
    assert 0 < result["final_data_loss"] < 3
    limit = result["limit"]
    assert limit["products_by"] in ("XLA", "TensorFlow")
    assert all(is_spread(limit[name]) for name in ("time_us", "products_us", "optimizer_us", "flops_per_second"))
    # 100 examples are 4 steps, so a step has 25 on average.
    assert result["examples_per_second"]["min"] == pytest.approx(25 * result["steps_per_second"]["min"])


def test_start() -> None:
    result = run("start", import_seconds=0.5)
    assert result["to_first_step"] == pytest.approx(result["beyond_import"] + 0.5)
    assert result["peak_memory_bytes"] > 1e7


def test_penalty() -> None:
    result = run("penalty")
    assert list(result) == ["none", "l1", "l2", "l1_l2"]
    assert result["none"]["ratio"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert all(is_spread(each[name]) for each in result.values() for name in ("ratio", "step_time_us"))


def test_lanes_compute_what_the_single_run_does() -> None:
    result = run("lanes", counts=(1, 3))
    assert list(result) == ["1", "3"]
    for each in result.values():
        assert is_spread(each["ratio"]) and is_spread(each["lane_time_us"])
        assert each["loss_difference"] < 1e-5
    configs = lane_configs(CONFIG, 3)
    assert configs[0] == CONFIG
    assert len({(config.l1, config.seed) for config in configs}) == 3


def test_logging() -> None:
    result = run("logging")
    assert result["steps_per_epoch"] == 4 and result["summary_every"] == 100
    for name in ("bare", "summaries", "checkpoints", "both"):
        assert is_spread(result[name]["ratio"]) and is_spread(result[name]["epoch_seconds"])


def test_the_program_without_a_penalty_trains_as_with_strengths_of_zero() -> None:
    dataset, config = load("digits", train_size=100), dataclasses.replace(CONFIG, l1=0.0, l2=0.0)
    without, zero = (make_training(config, dataset, Replicas(), penalized=penalized) for penalized in (False, True))
    assert without.program.step.terms == ()
    steppers = [of_training(training) for training in (without, zero)]
    for stepper in steppers:
        stepper(7)
    map_arrays(np.testing.assert_array_equal, without.parameters(), zero.parameters())
    assert steppers[0].loss_difference(steppers[1]) == 0
    assert without.measure_weights()["penalty/total"] == 0


def test_steps_go_round_the_epoch() -> None:
    dataset = load("digits", train_size=100)
    training = make_training(CONFIG, dataset, Replicas())
    stepper = of_training(training)
    assert stepper.first_losses.shape == (FIRST_STEPS,)
    stepper(10)
    assert training.steps_taken == FIRST_STEPS + 10


def test_flops_of_a_step() -> None:
    # Forward 2·B·(3·4 + 4·2); the kernels' gradients the same; the inputs' only for the second layer.
    assert step_flops((3, 4, 2), 7) == 2 * 7 * (20 + 20 + 8)


@pytest.mark.parametrize("product_dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "momentum"])
def test_the_limit_runs(optimizer: str, product_dtype: Any) -> None:
    runs = Limit((6, 4, 3), 5, make_optimizer(optimizer), tf.float32, product_dtype).runs()
    assert set(runs) == {*PRODUCTS, OPTIMIZER}
    for run_steps in runs.values():
        run_steps(3)
