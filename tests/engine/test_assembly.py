"""From names to functions: every setting of a configuration ends up where it belongs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config, ConfigError
from reglab.core.models import EVALUATION
from reglab.core.optimizers import SGD, Adam
from reglab.core.step import Step
from reglab.data import Dataset, Examples
from reglab.engine import assembly
from reglab.engine.sharing import shared_programs

CONFIG = Config(hidden=(5, 4), batch_size=8, epochs=3, jit=False)
KERNELS = {"dense_0": "kernel", "dense_1": "kernel", "logits": "kernel"}


def step_of(dataset: Dataset, **fields: Any) -> Step:
    return assembly.make_step(dataclasses.replace(CONFIG, **fields), dataset)


def test_the_data_are_those_the_flags_name(tmp_path: Any) -> None:
    digits = assembly.load_dataset(Config(train_size=100))
    assert (digits.name, len(digits.train), len(digits.validation)) == ("digits", 100, 360)
    noisy = assembly.load_dataset(Config(train_size=100, label_noise=0.5))
    assert np.mean(noisy.train.y != digits.train.y) == 0.5
    np.testing.assert_array_equal(noisy.validation.y, digits.validation.y)
    other = assembly.load_dataset(Config(train_size=100, seed=3))
    same = assembly.load_dataset(Config(train_size=100, seed=3, data_seed=0))
    assert not np.array_equal(other.train.x, digits.train.x)
    np.testing.assert_array_equal(same.train.x, digits.train.x)
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=np.eye(20), y_train=np.arange(20) % 2)
    assert len(assembly.load_dataset(Config(dataset=str(path), validation_split=0.5)).validation) == 10


def test_the_model_has_the_layers_asked_for(dataset: Dataset) -> None:
    parameters = step_of(dataset).model.initialize(0).parameters
    shapes = {layer: tuple(arrays["kernel"].shape) for layer, arrays in parameters.items()}
    assert shapes == {"dense_0": (6, 5), "dense_1": (5, 4), "logits": (4, 3)}
    assert step_of(dataset, hidden=()).model.dense_layers == ("logits",)


@pytest.mark.parametrize(("penalize", "layers"), [
    ("all", ("dense_0", "dense_1", "logits")), ("hidden", ("dense_0", "dense_1")), ("dense_1", ("dense_1",))])
def test_the_penalized_layers_are_those_asked_for(dataset: Dataset, penalize: str, layers: tuple[str, ...]) -> None:
    assert step_of(dataset, penalize=penalize).penalized_layers == layers


@pytest.mark.parametrize(("fields", "optimizer"), [
    ({}, Adam()), ({"optimizer": "sgd"}, SGD()), ({"optimizer": "momentum", "momentum": 0.5}, SGD(momentum=0.5)),
    ({"optimizer": "adamw"}, Adam(weight_decay=0.004, decayed=KERNELS)),
    ({"optimizer": "adamw", "weight_decay": 0.5}, Adam(weight_decay=0.5, decayed=KERNELS))])
def test_the_optimizer_is_the_one_asked_for(dataset: Dataset, fields: dict[str, Any], optimizer: object) -> None:
    assert step_of(dataset, **fields).optimizer == optimizer


def test_the_schedule_ends_with_the_run(dataset: Dataset) -> None:
    config = dataclasses.replace(CONFIG, schedule="cosine", warmup_steps=7)
    total = assembly.total_steps(config, dataset)
    assert total == 21  # 53 examples in batches of 8 make 7 steps, three times over.
    schedule = assembly.make_step(config, dataset).schedule
    rates = [float(schedule(tf.constant(1.0), tf.constant(step, tf.int64))) for step in range(total + 1)]
    assert max(rates) == pytest.approx(1, abs=0.05)
    assert rates.index(max(rates)) in (6, 7)
    assert rates[total] == pytest.approx(0, abs=1e-6)
    assert step_of(dataset).schedule(tf.constant(0.5), tf.constant(20, tf.int64)).numpy() == 0.5


def test_the_clip_norm_arrives(dataset: Dataset) -> None:
    assert step_of(dataset).clip_norm is None
    assert step_of(dataset, clip_norm=0.5).clip_norm == 0.5


def test_strengths_and_rate_are_tensors(dataset: Dataset) -> None:
    config = dataclasses.replace(CONFIG, l1=0.5, l2=0.25, learning_rate=0.125, penalize="hidden")
    step = assembly.make_step(config, dataset)
    hyper = assembly.make_hyperparameters(config, step)
    assert {name: array.numpy().tolist() for name, array in hyper.strengths.items()} == {
        "l1": [0.5, 0.5], "l2": [0.25, 0.25]}
    assert hyper.learning_rate.numpy() == 0.125 and hyper.seed == (), "the MLP draws nothing"
    chosen = assembly.make_hyperparameters(dataclasses.replace(config, penalize="dense_1"), step)
    assert {name: array.numpy().tolist() for name, array in chosen.strengths.items()} == {
        "l1": [0, 0.5], "l2": [0, 0.25]}


@pytest.mark.parametrize(("precision", "dtype"), [("float32", "float32"), ("float64", "float64"),
                                                  ("bfloat16", "float32")])
def test_parameters_and_sums_keep_at_least_float32(dataset: Dataset, precision: str, dtype: str) -> None:
    training = assembly.make_training(dataclasses.replace(CONFIG, precision=precision, l1=0.5), dataset)
    assert {array.dtype for array in tf.nest.flatten(training.parameters())} == {np.dtype(dtype)}
    assert training.hyper.strengths["l1"].dtype.name == dtype
    logits = training.program.step.model.apply(training.state["parameters"], {}, tf.ones([2, 6], dtype), EVALUATION)[0]
    assert logits.dtype.name == dtype


def test_bfloat16_is_another_arithmetic(dataset: Dataset) -> None:
    x = tf.constant(dataset.train.x)
    logits = [step_of(dataset, precision=precision).model for precision in ("float32", "bfloat16")]
    first, second = (model.apply(*model.initialize(0), x, EVALUATION)[0].numpy() for model in logits)
    assert 0 < np.abs(first - second).max() < 0.1


def test_a_program_starts_from_its_seed(dataset: Dataset) -> None:
    first, same, other = (assembly.make_training(dataclasses.replace(CONFIG, seed=seed), dataset).parameters()
                          for seed in (1, 1, 2))
    np.testing.assert_equal(first, same)
    assert not np.array_equal(first["logits"]["kernel"], other["logits"]["kernel"])


@pytest.mark.parametrize(("fields", "said"), [
    ({"batch_size": 54}, "--batch_size=54 is more than the 53 training examples of made"),
    ({"penalize": "conv_.*"}, "--penalize=conv_")])
def test_what_does_not_fit_the_data_is_refused(dataset: Dataset, fields: dict[str, Any], said: str) -> None:
    for check in (assembly.check_fit, assembly.make_training):
        with pytest.raises(ConfigError, match=said) as caught:
            check(dataclasses.replace(CONFIG, **fields), dataset)
        assert "\n" not in str(caught.value)
    assembly.check_fit(dataclasses.replace(CONFIG, batch_size=53), dataset)


def test_shared_programs_serve_runs_that_differ_in_inputs_only(dataset: Dataset) -> None:
    config = dataclasses.replace(CONFIG, optimizer="sgd")
    inputs = dataclasses.replace(config, l1=1e-3, l2=1e-2, learning_rate=0.5, seed=3, model_dir="elsewhere")
    adam = dataclasses.replace(config, optimizer="adam")
    data = dataclasses.replace(dataset, train=Examples(1 - dataset.train.x, dataset.train.y))
    smaller = dataclasses.replace(dataset, train=dataset.train.take(np.arange(52)))
    with shared_programs():
        first, second, third, fourth, fifth = (assembly.make_training(*pair) for pair in (
            (config, dataset), (inputs, dataset), (adam, dataset), (config, data), (config, smaller)))
    alone = assembly.make_training(inputs, dataset)
    assert second.program is first.program is fourth.program
    assert all(training.program is not first.program for training in (third, fifth, alone))
    for training in (first, second, alone):
        training.run(0, 0, 3)
    for mine, theirs in zip(tf.nest.flatten(second.state), tf.nest.flatten(alone.state), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 50, 1000])
@pytest.mark.parametrize("every", [1, 4])
def test_no_more_steps_are_measured_than_points_are_wanted(dataset: Dataset, most: int, every: int) -> None:
    config = Config(epochs=13, batch_size=8, summary_every=every, max_points=most)
    interval = assembly.summary_interval(config, dataset)
    total = 13 * 7
    assert assembly.total_steps(config, dataset) == total
    assert len(range(0, total, interval)) <= most
    assert interval == every or len(range(0, total, interval - 1)) > most, "no more are left out than must be"
    without = dataclasses.replace(config, max_points=None)
    assert assembly.summary_interval(without, dataset) == every
    assert assembly.summary_interval(dataclasses.replace(config, summary_every=0), dataset) == 0
