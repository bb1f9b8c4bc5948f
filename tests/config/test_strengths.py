"""Strengths layer by layer: read, refused in a line, kept to the bit, and what they make of a run."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import pytest

from reglab.cli import flags
from reglab.cli.preflight import preflight
from reglab.config import Config, ConfigError
from reglab.config.selection import make_model, strengths_by_layer
from reglab.config.strengths import in_names, in_words, is_zero, joined, numbers, read_layers, read_strength, weakened
from reglab.data import Dataset
from reglab.lab.grid import Grid, parse_grid

LAYERS = ("dense_0", "dense_1", "logits")
CONFIG = Config(hidden=(5, 4), l1="dense_0=0.01;logits=0.001", l2=0.005, penalize="hidden", optimizer="sgd",
                learning_rate=0.1, precision="float64", batch_size=8, epochs=1, summary_every=0, jit=False)


def test_a_number_stays_one_and_layers_are_written_in_one_way() -> None:
    assert read_strength("1e-3") == 0.001
    assert read_strength(" logits = 1e-4 ; dense_0=.001") == "dense_0=0.001;logits=0.0001"
    third = {"a": 1 / 3, "b": 5e-324, "c": 1.7976931348623157e308, "d": 0.0}
    assert read_layers(joined(third)) == third
    assert [is_zero(strength) for strength in (0.0, "a=0.0", "a=0.0;b=1.0", 1.0)] == [True, True, False, False]
    assert numbers("a=1.0;b=2.0") == (1, 2) and numbers(0.5) == (0.5,)
    assert (in_words(0.001), in_words("dense_0=0.001;logits=0.0001")) == ("0.001", "0.001 (dense_0), 0.0001 (logits)")
    assert (in_names(0.001, ".3g"), in_names("a=1.0")) == ("0.001", "by-layer")
    assert (weakened(1.0, 4), weakened("a=1.0;b=2.0", 4)) == (0.25, "a=0.25;b=0.5")


@pytest.mark.parametrize(("text", "why"), [
    ("dense_0=1;dense_0=2", "dense_0 is given twice"), ("dense_0=-1", "dense_0=-1: give a finite number of at least 0"),
    ("dense_0=inf", "give a finite"), ("dense_0=nan", "give a finite"), ("dense_0=x", "dense_0=x: it is no number"),
    ("dense_0=1e-400", "float64 would make it 0"), ("dense_0=", "it is no number"), ("=1", "is no layer"),
    ("dense_0=1;", "'' is no layer"), ("dense_0=1;2", "'2' is no layer"), ("dense_0=1,logits=2", "it is no number"),
    (";".join(f"a{i}=1" for i in range(300)), "more than 200 layers"), (f"{'a' * 20000}=1", "more than 10,000")])
def test_what_cannot_be_used_is_refused_in_a_line(text: str, why: str) -> None:
    for refuse in (lambda: flags.parse([f"--l1={text}"]), lambda: Config(l1=text),
                   lambda: parse_grid(Config(), l1=text)):
        with pytest.raises(ConfigError) as error:
            refuse()
        assert str(error.value).startswith("--l1=") and why in str(error.value)
        assert len(str(error.value)) <= 500 and "\n" not in str(error.value)


@pytest.mark.parametrize(("strength", "why"), [
    ("dense_0=1e-50", "float32 would make it 0"), ("dense_0=1e39", "beyond the largest float32"),
    ({"dense_0": "1"}, "a finite number for each layer"), ({1: 1.0}, "a finite number for each layer"),
    ({"a=b": 1.0}, "a finite number"), ({"a": True}, "a finite number"), ({"a": 10**5000}, "a finite number"),
    ({"a": float("nan")}, "a finite number"), ({}, "a value of type float"), ("1e-3", "a value of type float"),
    (True, "a value of type float"), (None, "a value of type float")])
def test_what_a_configuration_cannot_hold_is_refused(strength: Any, why: str) -> None:
    with pytest.raises(ConfigError, match="^--l2=.*") as error:
        Config(l2=strength)
    assert why in str(error.value)


def test_a_layer_that_there_is_not_is_named_before_tensorflow_is_there() -> None:
    config = Config(hidden=(8,), l2="dense_0=1;dense_7=1")
    with pytest.raises(ConfigError, match="--l2=dense_0=1.0;dense_7=1.0: there is no layer dense_7: .* dense_0, log"):
        preflight(config)
    with pytest.raises(ConfigError, match="no layer dense_7"):
        preflight(Config(hidden=(8,)), strengths=Grid(l2=("dense_7=1.0",)).strengths)


def test_a_number_is_for_the_penalized_layers_and_named_layers_are_for_themselves() -> None:
    model = make_model(Config(hidden=(2, 2)))
    assert strengths_by_layer(model, "hidden", "l1", 0.5) == {"dense_0": 0.5, "dense_1": 0.5}
    assert strengths_by_layer(model, "hidden", "l1", "logits=2.0;dense_0=1.0") == {"dense_0": 1, "logits": 2}


def test_it_survives_json_and_a_mapping_is_the_same() -> None:
    assert Config.from_dict(CONFIG.to_dict()) == CONFIG
    assert dataclasses.replace(CONFIG, l1={"logits": 1e-3, "dense_0": 0.01}) == CONFIG
    assert CONFIG.to_dict()["l1"] == "dense_0=0.01;logits=0.001"
    assert CONFIG.differences(dataclasses.replace(CONFIG, l1=0.01)) == ["l1: 'dense_0=0.01;logits=0.001', not 0.01"]


def test_each_layer_is_penalized_by_its_own_strength(dataset: Dataset) -> None:
    from reglab.engine.assembly import make_hyperparameters, make_step

    step = make_step(CONFIG, dataset)
    hyper = make_hyperparameters(CONFIG, step)
    assert [term.layers for term in step.terms] == [("dense_0", "logits"), ("dense_0", "dense_1")]
    parameters = step.model.initialize(0).parameters
    w = {layer: parameters[layer]["kernel"].numpy() for layer in LAYERS}
    expected = {"dense_0": 0.01 * np.sign(w["dense_0"]) + 0.01 * w["dense_0"], "dense_1": 0.01 * w["dense_1"],
                "logits": 0.001 * np.sign(w["logits"])}
    gradients = step.penalty_gradient(parameters, hyper)
    assert list(gradients) == list(expected)
    for layer, gradient in gradients.items():
        assert list(gradient) == ["kernel"]
        np.testing.assert_allclose(gradient["kernel"], expected[layer], rtol=1e-15)


def test_a_run_a_lane_and_their_reports_have_it(dataset: Dataset, tmp_path: pathlib.Path) -> None:
    from reglab.lab.lanes import Lane, LaneTrainer
    from reglab.run.loop import fit

    run = fit(dataclasses.replace(CONFIG, model_dir=str(tmp_path / "run")), dataset)
    w = {layer: arrays["kernel"] for layer, arrays in run.parameters.items()}
    weights = run.result["weights"]
    assert weights["penalty/dense_0/l1"] == pytest.approx(0.01 * np.abs(w["dense_0"]).sum(), rel=1e-12)
    assert weights["penalty/logits/l1"] == pytest.approx(0.001 * np.abs(w["logits"]).sum(), rel=1e-12)
    assert weights["penalty/dense_1/l2"] == pytest.approx(0.005 * np.square(w["dense_1"]).sum(), rel=1e-12)
    assert "penalty/dense_1/l1" not in weights and "penalty/logits/l2" not in weights
    pulls = [0.01 * np.sign(w["dense_0"]) + 0.01 * w["dense_0"], 0.01 * w["dense_1"], 0.001 * np.sign(w["logits"])]
    assert weights["gradient_norm/penalty"] == pytest.approx(np.sqrt(sum(np.square(p).sum() for p in pulls)), rel=1e-12)
    assert run.result["penalized_kernels"] == list(LAYERS)

    lanes = [Lane.of(CONFIG), Lane(l1=0.02, learning_rate=0.1, penalize="logits")]
    trainer = LaneTrainer(CONFIG, dataset, 2, ["hidden", "logits"], {"l1": [CONFIG.strengths["l1"], 0.02]})
    curves = trainer.train(lanes)
    for layer in LAYERS:
        np.testing.assert_allclose(curves.parameters[layer]["kernel"][0], w[layer], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(curves.weights["penalty/l1"][-1, 1],
                               0.02 * np.abs(curves.parameters["logits"]["kernel"][1]).sum(), rtol=1e-12)


def test_a_sweep_may_hold_it_fixed() -> None:
    grid = parse_grid(Config(), l1="logits=1e-3;dense_0=1", l2="0,1")
    assert grid.l1 == ("dense_0=1.0;logits=0.001",) and grid.size == 2
    assert [grid.described(point)["l2"] for point in grid.points] == [0, 1]
