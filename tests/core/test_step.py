"""The objective against NumPy in float64, its closed-form gradient against the tape, its sums against their parts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.core import penalties
from reglab.core.measurement import Reporter
from reglab.core.optimizers import SGD, Adam
from reglab.core.parameters import Parameters, Weights, global_norm, map_arrays
from reglab.core.penalties.group_l1 import GroupL1
from reglab.core.step import Batch, Hyperparameters, Step, initial_state, over_lanes, stack_lanes
from reglab.core.terms import SPARSITY_THRESHOLD, Term, sums_of

MakeStep = Callable[..., Step]
ReportOf = Callable[..., dict[str, float]]
LAYERS = ("dense_0", "dense_1", "logits")
KERNELS = dict.fromkeys(LAYERS, "kernel")
# Each layer has its own strengths, so that a mix-up would show.
L1, L2 = np.array([0.01, 0.02, 0.03]), np.array([0.005, 0.03, 0.01])
HYPER = Hyperparameters({"l1": tf.constant(L1), "l2": tf.constant(L2)}, tf.constant(0.1, tf.float64))


def some_parameters(seed: int = 0) -> Parameters:
    """Returns kernels with exact zeros and with entries within the sparsity threshold, and nonzero biases."""
    rng = np.random.default_rng(seed)
    parameters = {}
    for layer, shape in zip(LAYERS, [(6, 5), (5, 4), (4, 3)], strict=True):
        kernel = rng.normal(size=shape)
        kernel[0, 0], kernel[1, 1], kernel[2, 2] = 0.0, 0.5 * SPARSITY_THRESHOLD, -0.9 * SPARSITY_THRESHOLD
        parameters[layer] = {"kernel": tf.constant(kernel), "bias": tf.constant(rng.normal(size=shape[1:]))}
    return parameters


def some_batch(examples: int = 11, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    return Batch(tf.constant(rng.normal(size=(examples, 6))), tf.constant(rng.integers(0, 3, examples), tf.int32),
                 tf.ones([examples], tf.float64), tf.constant(examples, tf.float64))


def part(batch: Batch, start: int, stop: int) -> Batch:
    """Returns one replica's part; its total weight is still that of the whole batch."""
    return Batch(batch.x[start:stop], batch.y[start:stop], batch.weights[start:stop], batch.total_weight)


def numpy_logits(parameters: Parameters, x: np.ndarray) -> np.ndarray:
    for layer in LAYERS:
        x = x @ parameters[layer]["kernel"].numpy() + parameters[layer]["bias"].numpy()
        x = x if layer == "logits" else np.tanh(x)
    return x


def numpy_cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.log(np.sum(np.exp(logits), 1)) - logits[np.arange(len(labels)), labels]


def numpy_data_loss(parameters: Parameters, batch: Batch) -> float:
    losses = numpy_cross_entropies(numpy_logits(parameters, batch.x.numpy()), batch.y.numpy())
    return float(np.sum(batch.weights.numpy() * losses) / np.sum(batch.weights.numpy()))


def kernels(parameters: Parameters) -> list[np.ndarray]:
    return [parameters[layer]["kernel"].numpy() for layer in LAYERS]


def assert_same(first: Any, second: Any, *, rtol: float = 1e-12, atol: float = 1e-14) -> None:
    tf.nest.assert_same_structure(first, second)
    for a, b in zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def total_gradient(step: Step, parameters: Parameters, batch: Batch, hyper: Hyperparameters) -> Parameters:
    """Differentiates the objective in its plain form with the tape."""
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        total = step.objective(parameters, batch, hyper).total
    return tape.gradient(total, parameters)


def applied_gradient(step: Step, parameters: Parameters, batch: Batch, hyper: Hyperparameters) -> Parameters:
    """Returns the direction along which `update` actually descends, found from an SGD step with rate 1."""
    _, data_gradient, _ = step.data_gradient(parameters, batch)
    unit = hyper._replace(learning_rate=tf.constant(1.0, tf.float64))
    after = step.update(initial_state(step, Weights(parameters)), data_gradient, unit)["parameters"]
    return map_arrays(lambda w, new: w - new, parameters, after)


# The objective.

def test_the_objective_is_the_sum_written_out_in_numpy(make_step: MakeStep) -> None:
    parameters, batch = some_parameters(), some_batch()
    objective = make_step().objective(parameters, batch, HYPER)
    data = numpy_data_loss(parameters, batch)
    l1 = [strength * np.sum(np.abs(w)) for strength, w in zip(L1, kernels(parameters), strict=True)]
    l2 = [strength * np.sum(w * w) for strength, w in zip(L2, kernels(parameters), strict=True)]
    np.testing.assert_allclose(objective.data_loss, data, rtol=1e-13)
    np.testing.assert_allclose(objective.penalties["l1"], sum(l1), rtol=1e-13)
    np.testing.assert_allclose(objective.penalties["l2"], sum(l2), rtol=1e-13)
    np.testing.assert_allclose(objective.total, data + sum(l1) + sum(l2), rtol=1e-13)


def test_the_objective_has_the_data_loss_and_penalty_of_keras(make_step: MakeStep, keras64: Any) -> None:
    parameters, batch = some_parameters(), some_batch()
    objective = make_step().objective(parameters, batch, HYPER)
    loss = keras64.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")
    np.testing.assert_allclose(objective.data_loss, loss(batch.y, numpy_logits(parameters, batch.x.numpy())),
                               rtol=1e-13)
    strength = keras64.regularizers.L1L2(2.0**-5, 2.0**-7)
    powers = HYPER._replace(strengths={"l1": tf.fill([3], tf.constant(2.0**-5, tf.float64)),
                                       "l2": tf.fill([3], tf.constant(2.0**-7, tf.float64))})
    objective = make_step().objective(parameters, batch, powers)
    np.testing.assert_allclose(objective.total - objective.data_loss, sum(strength(w) for w in kernels(parameters)),
                               rtol=1e-13)


def test_the_penalty_does_not_depend_on_the_batch_or_the_biases(make_step: MakeStep) -> None:
    step, parameters = make_step(), some_parameters()
    shifted = {layer: {**arrays, "bias": arrays["bias"] + 100} for layer, arrays in parameters.items()}
    first = step.objective(parameters, some_batch(11), HYPER)
    other = step.objective(shifted, some_batch(4, seed=9), HYPER)
    assert list(first.penalties) == ["l1", "l2"]
    assert_same(first.penalties, other.penalties, rtol=0, atol=0)


# Its gradient.

@pytest.mark.parametrize("penalize", ["all", "hidden", "logits", "dense_1"])
def test_the_step_descends_along_the_tapes_gradient_of_the_total(make_step: MakeStep, penalize: str) -> None:
    step, parameters, batch = make_step(penalize=penalize), some_parameters(), some_batch()
    n = len(step.penalized_layers)
    hyper = HYPER._replace(strengths={name: strength[:n] for name, strength in HYPER.strengths.items()})
    assert_same(applied_gradient(step, parameters, batch, hyper), total_gradient(step, parameters, batch, hyper),
                rtol=1e-12, atol=1e-13)


def test_the_gradient_of_the_data_loss_is_that_of_central_differences(make_step: MakeStep) -> None:
    parameters, batch, h = some_parameters(), some_batch(), 1e-5
    loss, gradient, _ = make_step().data_gradient(parameters, batch)
    np.testing.assert_allclose(loss, numpy_data_loss(parameters, batch), rtol=1e-13)
    for layer in LAYERS:
        for name in ("kernel", "bias"):
            array = parameters[layer][name].numpy()
            for at in np.ndindex(array.shape):
                shift = np.zeros_like(array)
                shift[at] = h
                up, down = (numpy_data_loss(parameters | {layer: parameters[layer] | {name: tf.constant(moved)}}, batch)
                            for moved in (array + shift, array - shift))
                np.testing.assert_allclose(gradient[layer][name].numpy()[at], (up - down) / (2 * h), atol=1e-9)


def test_the_step_adds_lambda1_sign_and_two_lambda2_weights_to_kernels_and_nothing_to_biases(
        make_step: MakeStep) -> None:
    step, parameters, batch = make_step(), some_parameters(), some_batch()
    _, data, _ = step.data_gradient(parameters, batch)
    applied = applied_gradient(step, parameters, batch, HYPER)
    for k, layer in enumerate(LAYERS):
        w = parameters[layer]["kernel"].numpy()
        added = applied[layer]["kernel"] - data[layer]["kernel"]
        np.testing.assert_allclose(added, L1[k] * np.sign(w) + 2 * L2[k] * w, atol=1e-14)
        np.testing.assert_allclose(applied[layer]["bias"], data[layer]["bias"], atol=1e-15)


def test_a_kernel_entry_at_exactly_zero_gets_no_penalty_gradient(make_step: MakeStep) -> None:
    gradient = make_step().penalty_gradient(some_parameters(), HYPER)
    assert [gradient[layer]["kernel"].numpy()[0, 0] for layer in LAYERS] == [0, 0, 0]


@pytest.mark.parametrize(("penalize", "chosen"), [("hidden", [0, 1]), ("logits", [2]), ("dense_1", [1])])
def test_layers_not_penalized_get_no_penalty_in_value_gradient_or_report(
        make_step: MakeStep, report_of: ReportOf, penalize: str, chosen: list[int]) -> None:
    step, parameters = make_step(penalize=penalize), some_parameters()
    hyper = HYPER._replace(strengths={"l1": tf.constant(L1[chosen]), "l2": tf.constant(L2[chosen])})
    objective = step.objective(parameters, some_batch(), hyper)
    by_layer = {LAYERS[k]: L1[k] * np.sum(np.abs(kernels(parameters)[k])) for k in chosen}
    np.testing.assert_allclose(objective.penalties["l1"], sum(by_layer.values()), rtol=1e-13)
    assert list(step.penalty_gradient(parameters, hyper)) == list(by_layer)
    report = report_of(step, initial_state(step, Weights(parameters)), some_batch(), hyper)
    reported = {tag.split("/")[1]: value for tag, value in report.items() if re.fullmatch("penalty/.*/l1", tag)}
    assert_same(reported, by_layer)
    pull = {layer: g["kernel"].numpy() for layer, g in step.penalty_gradient(parameters, hyper).items()}
    norm = np.sqrt(sum(np.square(g).sum() for g in pull.values()))
    np.testing.assert_allclose(report["gradient_norm/penalty"], norm, rtol=1e-13)


@pytest.mark.parametrize("name", penalties.standing())
def test_each_penalty_alone_reaches_the_gradient(make_step: MakeStep, name: str) -> None:
    step, parameters, batch = make_step(), some_parameters(), some_batch()
    other = HYPER._replace(strengths={**{other: tf.zeros([3], tf.float64) for other in HYPER.strengths},
                                      name: HYPER.strengths[name]})
    _, data, _ = step.data_gradient(parameters, batch)
    applied = applied_gradient(step, parameters, batch, other)
    strengths = HYPER.strengths[name].numpy()
    for k, layer in enumerate(LAYERS):
        expected = strengths[k] * penalties.get(name).gradient(parameters[layer]["kernel"])
        np.testing.assert_allclose(applied[layer]["kernel"] - data[layer]["kernel"], expected, atol=1e-14)


def test_a_term_that_covers_biases_reaches_objective_gradient_and_report_with_them(make_step: MakeStep) -> None:
    layers = ("dense_0", "logits")
    step = make_step()
    step = dataclasses.replace(step, terms=(*step.terms, Term(GroupL1("incoming"), layers)))
    hyper = HYPER._replace(strengths={**HYPER.strengths, "group_l1": tf.constant([0.3, 0.2], tf.float64)})
    parameters, batch = some_parameters(), some_batch()
    expected = 0.0
    for layer, strength in zip(layers, (0.3, 0.2), strict=True):
        kernel, bias = parameters[layer]["kernel"].numpy(), parameters[layer]["bias"].numpy()
        expected += strength * np.sqrt(len(kernel) + 1) * np.sqrt((kernel ** 2).sum(0) + bias ** 2).sum()
    np.testing.assert_allclose(step.objective(parameters, batch, hyper).penalties["group_l1"], expected, rtol=1e-13)
    assert_same(applied_gradient(step, parameters, batch, hyper), total_gradient(step, parameters, batch, hyper),
                rtol=1e-12, atol=1e-13)
    report = Reporter.of(step, {name: strength.numpy() for name, strength in hyper.strengths.items()}).of_weights(
        [of_layers.numpy() for of_layers in step.measure_kernels(parameters)])
    np.testing.assert_allclose(report["penalty/group_l1"], expected, rtol=1e-13)
    pull = np.concatenate([part.numpy().ravel() for part in tf.nest.flatten(step.penalty_gradient(parameters, hyper))])
    np.testing.assert_allclose(report["gradient_norm/penalty"], np.linalg.norm(pull), rtol=1e-12)


def test_the_gradient_given_to_update_is_left_as_it_was(make_step: MakeStep) -> None:
    step, parameters = make_step(), some_parameters()
    _, gradients, _ = step.data_gradient(parameters, some_batch())
    before = map_arrays(lambda g: g.numpy().copy(), gradients)
    step.update(initial_state(step, Weights(parameters)), gradients, HYPER)
    assert_same(gradients, before, rtol=0, atol=0)


# Padding and parts.

def padded(batch: Batch, by: int) -> Batch:
    """Returns `batch` plus `by` examples of weight 0, whose values would be conspicuous if they counted."""
    return Batch(tf.concat([batch.x, tf.fill([by, 6], tf.constant(1e3, tf.float64))], 0),
                 tf.concat([batch.y, tf.ones([by], tf.int32)], 0),
                 tf.concat([batch.weights, tf.zeros([by], tf.float64)], 0), batch.total_weight)


def test_examples_of_weight_0_might_as_well_not_be_there(make_step: MakeStep, report_of: ReportOf) -> None:
    step, parameters, batch = make_step(), some_parameters(), some_batch()
    more = padded(batch, 5)
    assert_same(step.data_gradient(parameters, more), step.data_gradient(parameters, batch))
    assert_same(step.objective(parameters, more, HYPER), step.objective(parameters, batch, HYPER))
    assert_same(step.evaluate(parameters, more), step.evaluate(parameters, batch))
    state = initial_state(step, Weights(parameters))
    assert_same(report_of(step, state, more, HYPER), report_of(step, state, batch, HYPER))


def test_weights_are_weights(make_step: MakeStep) -> None:
    step, parameters, batch = make_step(), some_parameters(), some_batch(3)
    twice = batch._replace(weights=tf.constant([2.0, 1.0, 1.0], tf.float64), total_weight=tf.constant(4.0, tf.float64))
    x, y, weights = (tf.gather(array, [0, 0, 1, 2]) for array in (batch.x, batch.y, batch.weights))
    repeated = Batch(x, y, weights, tf.constant(4.0, tf.float64))
    assert_same(step.data_gradient(parameters, twice), step.data_gradient(parameters, repeated))


@pytest.mark.parametrize("cut", [0, 1, 4, 10, 11])
def test_the_parts_of_a_batch_add_up_to_the_whole(make_step: MakeStep, cut: int) -> None:
    step, parameters, batch = make_step(), some_parameters(), some_batch(11)
    first, second = part(batch, 0, cut), part(batch, cut, 11)
    for function in (step.data_gradient, step.accuracy, step.evaluate):
        summed = map_arrays(lambda a, b: a + b, function(parameters, first), function(parameters, second))
        assert_same(summed, function(parameters, batch))


# The update.

def test_clipping_bounds_the_gradient_of_the_total(make_step: MakeStep) -> None:
    free, parameters, batch = make_step(), some_parameters(), some_batch()
    whole = total_gradient(free, parameters, batch, HYPER)
    bound = 0.5 * float(global_norm(whole))
    clipped = applied_gradient(make_step(clip_norm=bound), parameters, batch, HYPER)
    assert_same(clipped, map_arrays(lambda g: 0.5 * g, whole), rtol=1e-10, atol=1e-13)
    loose = applied_gradient(make_step(clip_norm=4 * bound), parameters, batch, HYPER)
    assert_same(loose, whole, rtol=1e-12, atol=1e-13)


def test_an_update_counts_one_step_and_uses_the_scheduled_rate(make_step: MakeStep, report_of: ReportOf) -> None:
    step, parameters = make_step(schedule="cosine", warmup_steps=4, total_steps=20), some_parameters()
    state = initial_state(step, Weights(parameters)) | {"step": tf.constant(2, tf.int64)}
    gradients = map_arrays(tf.ones_like, parameters)
    none = HYPER._replace(strengths={name: tf.zeros([3], tf.float64) for name in HYPER.strengths})
    after = step.update(state, gradients, none)
    assert (after["step"].numpy(), after["step"].dtype) == (3, tf.int64)
    assert_same(after["parameters"], map_arrays(lambda w: w - 0.1 * 2 / 4, parameters))
    np.testing.assert_allclose(report_of(step, state, some_batch(), none)["learning_rate"], 0.1 * 2 / 4, rtol=1e-15)


def test_the_first_state_has_the_parameters_zero_slots_and_step_0(make_step: MakeStep) -> None:
    parameters = some_parameters()
    state = initial_state(make_step(optimizer="adam"), Weights(parameters))
    assert state["parameters"] is parameters
    assert set(state["slots"]) == {"m", "v"}
    assert not any(np.any(array) for array in tf.nest.flatten(state["slots"]))
    assert (state["step"].numpy(), state["step"].dtype) == (0, tf.int64)


# What is reported.

def test_the_report_is_what_numpy_finds(make_step: MakeStep, report_of: ReportOf) -> None:
    step, parameters, batch = make_step(), some_parameters(), some_batch()
    report = report_of(step, initial_state(step, Weights(parameters)), batch, HYPER)
    logits, w = numpy_logits(parameters, batch.x.numpy()), dict(zip(LAYERS, kernels(parameters), strict=True))
    _, data, _ = step.data_gradient(parameters, batch)
    l1 = {layer: L1[k] * np.abs(w[layer]).sum() for k, layer in enumerate(LAYERS)}
    l2 = {layer: L2[k] * np.square(w[layer]).sum() for k, layer in enumerate(LAYERS)}
    pulls = [L1[k] * np.sign(w[layer]) + 2 * L2[k] * w[layer] for k, layer in enumerate(LAYERS)]
    everything = np.concatenate([kernel.ravel() for kernel in w.values()])
    expected = {
        "train_batch/data_loss": numpy_data_loss(parameters, batch),
        "train_batch/total": numpy_data_loss(parameters, batch) + sum(l1.values()) + sum(l2.values()),
        "train_batch/accuracy": float(np.mean(logits.argmax(1) == batch.y.numpy())),
        "penalty/total": sum(l1.values()) + sum(l2.values()),
        "penalty/l1": sum(l1.values()), "penalty/l2": sum(l2.values()),
        "sparsity/total": np.mean(np.abs(everything) <= 1e-3),
        "gradient_norm/data": np.sqrt(sum(np.sum(np.square(g)) for g in tf.nest.flatten(data))),
        "gradient_norm/penalty": np.sqrt(sum(np.sum(np.square(g)) for g in pulls)),
        "learning_rate": 0.1}
    for layer in LAYERS:
        expected |= {f"penalty/{layer}/l1": l1[layer], f"penalty/{layer}/l2": l2[layer],
                     f"norm/{layer}/l1": np.abs(w[layer]).sum(), f"norm/{layer}/l2": np.linalg.norm(w[layer]),
                     f"sparsity/{layer}": np.mean(np.abs(w[layer]) <= 1e-3)}
    assert report.keys() == expected.keys()
    for tag, value in expected.items():
        np.testing.assert_allclose(report[tag], value, rtol=1e-12, err_msg=tag)
    assert 0 < report["train_batch/accuracy"] < 1
    assert report["sparsity/dense_0"] == 3 / 30


def test_the_parts_of_the_report_add_up_to_the_objective(make_step: MakeStep, report_of: ReportOf) -> None:
    step, parameters, batch = make_step(), some_parameters(), some_batch()
    report = report_of(step, initial_state(step, Weights(parameters)), batch, HYPER)
    objective = step.objective(parameters, batch, HYPER)
    assert_same(report["train_batch/total"], report["train_batch/data_loss"] + report["penalty/total"], rtol=1e-15)
    assert_same(report["penalty/total"], report["penalty/l1"] + report["penalty/l2"], rtol=1e-15)
    assert_same([report[tag] for tag in ("train_batch/data_loss", "penalty/l1", "penalty/l2", "train_batch/total")],
                [objective.data_loss, *objective.penalties.values(), objective.total])
    for name in ("l1", "l2"):
        assert_same(report[f"penalty/{name}"], sum(report[f"penalty/{layer}/{name}"] for layer in LAYERS))


def test_evaluate_sums_losses_and_right_answers_in_float64_and_never_the_penalty(make_step: MakeStep) -> None:
    parameters, batch = some_parameters(), some_batch()
    loss, right = make_step().evaluate(parameters, batch)
    logits = numpy_logits(parameters, batch.x.numpy())
    np.testing.assert_allclose(loss, numpy_cross_entropies(logits, batch.y.numpy()).sum(), rtol=1e-13)
    assert right == np.sum(logits.argmax(1) == batch.y.numpy())
    in_float32 = map_arrays(lambda array: tf.cast(array, tf.float32), parameters)
    small = Batch(tf.cast(batch.x, tf.float32), batch.y, tf.cast(batch.weights, tf.float32),
                  tf.cast(batch.total_weight, tf.float32))
    assert {value.dtype for value in make_step(dtype=tf.float32).evaluate(in_float32, small)} == {tf.float64}


# Lanes.

@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), Adam(), Adam(weight_decay=0.1, decayed=KERNELS)])
def test_a_lane_among_lanes_is_the_lane_alone(make_step: MakeStep, optimizer: Any) -> None:
    step, batch = make_step(optimizer=optimizer, clip_norm=1.0), some_batch()
    alone = [(some_parameters(seed), Hyperparameters({"l1": (seed + 0.5) * HYPER.strengths["l1"],
                                                      "l2": (2.5 - seed) * HYPER.strengths["l2"]},
                                                     (seed + 1) * HYPER.learning_rate)) for seed in range(3)]

    def one_step(lane: tuple[Parameters, Hyperparameters], batch: Batch) -> Any:
        parameters, hyper = lane
        state = initial_state(step, Weights(parameters))
        for _ in range(2):
            state = step.update(state, step.data_gradient(state["parameters"], batch)[1], hyper)
        data, gradients, _ = step.data_gradient(state["parameters"], batch)
        accuracy = step.accuracy(state["parameters"], batch)
        return ({**state, "step": tf.identity(state["step"])}, step.evaluate(state["parameters"], batch),
                step.measure(state, data, accuracy, gradients, hyper))

    together = over_lanes(one_step, 3)(stack_lanes(alone), batch)
    for i, lane in enumerate(alone):
        assert_same(map_arrays(lambda array, i=i: array[i], together), over_lanes(one_step, None)(lane, batch))


def test_one_lane_is_called_as_it_is() -> None:
    def function(lane: Any, *shared: Any) -> Any:
        return lane, shared

    assert over_lanes(function, None) is function


@pytest.mark.parametrize("jit", [False, True])
def test_the_sums_over_a_wide_kernel_are_exact_to_float32(make_step: Callable[..., Step], jit: bool) -> None:
    step = make_step(hidden=(2048,), features=2048, dtype=tf.float32)
    parameters = step.model.initialize(0).parameters
    kernels = [np.float64(parameters[layer]["kernel"]) for layer in step.model.dense_layers]
    sums = tf.function(step.measure_kernels, jit_compile=jit)(parameters)
    assert [one.names for one in sums_of(step.terms)] == [("l1",), ("l2",), (), ("l1", "l1")]
    absolute, square, small, nonzero = (of_layers.numpy() for of_layers in sums)
    np.testing.assert_allclose(absolute, [np.abs(kernel).sum() for kernel in kernels], rtol=1e-6)
    np.testing.assert_allclose(square, [np.square(kernel).sum() for kernel in kernels], rtol=1e-6)
    assert nonzero.tolist() == [np.count_nonzero(kernel) for kernel in kernels]
    assert small.tolist() == [(np.abs(kernel) <= SPARSITY_THRESHOLD).sum() for kernel in kernels]
