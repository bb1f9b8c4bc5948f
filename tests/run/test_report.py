"""The run in words and in numbers: true to the configuration, and strict JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from reglab.config import Config
from reglab.console.format import summary_lines, summary_title
from reglab.data import Dataset
from reglab.engine.assembly import make_training
from reglab.run.evaluation import Evaluation
from reglab.run.report import describe_run, make_result

CONFIG = Config(hidden=(5, 4), batch_size=8, epochs=1, jit=False)


def described(dataset: Dataset, **fields: Any) -> dict[str, str]:
    config = dataclasses.replace(CONFIG, **fields)
    training = make_training(config, dataset)
    return describe_run(config, training.program, training.source.about)


def test_the_header_tells_what_will_be_trained(dataset: Dataset) -> None:
    facts = described(dataset, l1=0.5, penalize="hidden", model_dir="runs/x")
    assert facts["Data"] == dataset.description
    assert facts["Model"] == "MLP 6-5-4-3, relu, 74 parameters"  # 6·5+5 + 5·4+4 + 4·3+3
    assert facts["Penalized"] == "dense_0, dense_1 (kernels only): l1 = 0.5, l2 = 0"
    assert facts["Optimizer"] == "adam, learning rate 0.001, constant"
    assert facts["Batches"] == "8 examples, 7 steps an epoch, 1 epoch"
    assert facts["XLA"] == "off (--jit=false)"
    assert facts["Writing to"] == "runs/x"
    assert "CPU" in facts["Device"] or "GPU" in facts["Device"]
    assert all("\n" not in text and text for text in facts.values())


def test_the_header_tells_what_is_not_the_default(dataset: Dataset) -> None:
    facts = described(dataset, optimizer="adamw", schedule="cosine", warmup_steps=1000, clip_norm=0.5,
                      label_noise=0.25, data_seed=3, hidden=(), jit=True)
    assert facts["Data"].endswith("25% of the training labels changed")
    assert facts["Model"].startswith("MLP 6-3")
    assert facts["Optimizer"] == ("adamw, learning rate 0.001, cosine after 1,000 steps of warm-up, gradients clipped "
                                  "to norm 0.5, decoupled weight decay 0.004 on kernels")
    assert facts["Seed"] == "0, data 3"
    assert facts["XLA"].startswith("compiles ")
    assert facts["Writing to"] == "nothing (no model_dir)"


def result_of(dataset: Dataset, data_loss: float, **fields: Any) -> dict[str, Any]:
    config = dataclasses.replace(CONFIG, **fields)
    weights = {"penalty/l1": 0.25, "penalty/l2": 0.5, "penalty/total": 0.75, "sparsity/total": 0.1}
    final = Evaluation.of(7, 1, {"data_loss": data_loss, "accuracy": 0.5}, {"data_loss": 2.0, "accuracy": 0.25},
                          weights)
    return make_result(config, make_training(config, dataset), final,
                       best={"step": 7, "epoch": 1, "data_loss": 2.0, "accuracy": 0.25}, seconds=1.5,
                       steps_per_second=100.0, resumed_from=3)


def test_the_result_says_what_came_out_and_what_ran(dataset: Dataset) -> None:
    result = result_of(dataset, 1.0, penalize="hidden")
    assert result["train"] == {"data_loss": 1.0, "accuracy": 0.5, "l1": 0.25, "l2": 0.5, "penalty": 0.75, "total": 1.75}
    assert result["gap"] == {"data_loss": 1.0, "accuracy": 0.25}
    assert (result["completed"], result["steps"], result["epochs"], result["resumed_from"]) == (True, 7, 1, 3)
    assert (result["sparsity"], result["examples_per_second"]) == (0.1, 800)
    assert result["penalized_kernels"] == ["dense_0", "dense_1"]
    assert result["strategy"]["name"] == "one_device"
    assert result["xla"] is None and result_of(dataset, 1.0, jit=True)["xla"]
    assert {"tensorflow", "reglab", "numpy", "python"} <= set(result["versions"])
    assert {"device", "precision", "dataset", "model_dir", "numerics", "best", "sparsity_threshold"} <= set(result)


@pytest.mark.parametrize("data_loss", [1.0, math.nan, math.inf])
def test_the_result_is_strict_json_and_survives_it(dataset: Dataset, data_loss: float) -> None:
    result = result_of(dataset, data_loss)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["train"]["data_loss"] is None) == (not math.isfinite(data_loss))


def test_the_console_can_summarize_it(dataset: Dataset) -> None:
    result = result_of(dataset, 1.0)
    assert summary_title(result).startswith("Done after 7 steps in 1.5 s")
    assert {"Training", "Validation", "Gap", "Penalty", "Objective", "Sparsity", "Best"} <= set(summary_lines(result))
