"""Steps with proximal operators: where they settle, against KKT conditions, TensorFlow's own operation and NumPy."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.core.covering import joined
from reglab.core.models.mlp import MLP
from reglab.core.optimizers import SGD, Adam, Optimizer, Update
from reglab.core.parameters import Parameters, Weights, map_arrays
from reglab.core.penalties import get
from reglab.core.penalties.group_l1 import GroupL1
from reglab.core.step import Batch, Hyperparameters, State, Step, initial_state, over_lanes, stack_lanes
from reglab.core.terms import Term

FEATURES, CLASSES, DEAD = 6, 3, 4  # The feature DEAD is 0 in every example.
L1, L2 = 0.02, 0.01
DECAY, EPSILON = 0.3, 1e-3  # With a smaller ε, the biases of AdamW never come to rest.
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": SGD(), "momentum": SGD(momentum=0.9), "adam": Adam(),
    "adamw": Adam(weight_decay=DECAY, decayed={"logits": "kernel"}, epsilon=EPSILON)}


def made_step(optimizer: Optimizer, *, clip_norm: float | None = None, skip: bool = False, proximal: bool = True,
              groups: str | None = None) -> Step:
    """Softmax regression in float64 with L1, L2 and perhaps groups, at a constant rate."""
    terms = (Term(get("l1"), ("logits",), proximal), Term(get("l2"), ("logits",)),
             *(() if groups is None else (Term(GroupL1(groups), ("logits",), proximal),)))
    return Step(MLP((FEATURES,), (), CLASSES, dtype=tf.float64), terms, optimizer, lambda rate, step: rate, clip_norm,
                skip)


def hyper(rate: float, l1: float = L1, l2: float = L2, group_l1: float = 0.0) -> Hyperparameters:
    strengths = {"l1": l1, "l2": l2, "group_l1": group_l1}
    return Hyperparameters({name: tf.constant([strength], tf.float64) for name, strength in strengths.items()},
                           tf.constant(rate, tf.float64))


@functools.cache
def batch() -> Batch:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, FEATURES))
    y = (x @ rng.normal(size=(FEATURES, CLASSES)) + rng.normal(size=(40, CLASSES))).argmax(1)
    x[:, DEAD] = 0
    with tf.init_scope():  # Made once, whichever function is traced first.
        return Batch(tf.constant(x), tf.constant(y, tf.int32), tf.ones([40], tf.float64), tf.constant(40.0, tf.float64))


def trained(step: Step, steps: int, given: Hyperparameters) -> State:
    """The state after so many steps on the one batch."""
    def one(state: State) -> State:
        _, gradients, _ = step.data_gradient(state["parameters"], batch())
        return step.update(state, gradients, given)

    @tf.function(jit_compile=True)
    def loop(state: State) -> State:
        return tf.while_loop(lambda state: state["step"] < steps, lambda state: (one(state),), (state,))[0]

    return loop(initial_state(step, step.model.initialize(1)))


def residual(step: Step, parameters: Parameters, given: Hyperparameters, decay: float = 0.0) -> float:
    """How far the weights are from a stationary point of data loss + L1 + L2, and of decoupled decay by Adam."""
    _, gradients, _ = step.data_gradient(parameters, batch())
    kernel, of_kernel = parameters["logits"]["kernel"], gradients["logits"]["kernel"]
    smooth = of_kernel + 2 * given.strengths["l2"][0] * kernel
    smooth += decay * (tf.abs(smooth) + EPSILON) * kernel  # The decay over the rate, where √v is |smooth|.
    of_l1 = get("l1").distance(kernel, smooth, given.strengths["l1"][0])
    return float(tf.sqrt(of_l1 ** 2 + tf.reduce_sum(gradients["logits"]["bias"] ** 2)))


# Where training settles.

RATES = {"sgd": 1.0, "momentum": 0.3, "adam": 0.02, "adamw": 0.02}
STEPS = {"adamw": 30_000}  # Its decay pulls at the rates that pull at the weights.


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_settles_at_a_stationary_point_of_the_objective(name: str) -> None:
    step, given = made_step(OPTIMIZERS[name]), hyper(RATES[name])
    parameters = trained(step, STEPS.get(name, 2500), given)["parameters"]
    assert residual(step, parameters, given, DECAY if name == "adamw" else 0.0) <= 1e-10
    kernel = parameters["logits"]["kernel"].numpy()
    assert not np.any(kernel[DEAD]) and 0.3 < np.mean(kernel == 0) < 0.9


@pytest.mark.parametrize(("name", "groups", "l1"), [("momentum", "incoming", 0.0), ("adam", "outgoing", 0.01),
                                                    ("adam", "incoming", 0.001)])
def test_training_settles_with_groups_too(name: str, groups: str, l1: float) -> None:
    """The sparse group lasso: least norm of a subgradient of all, of which groups of 0 are the last to take."""
    step, given = made_step(OPTIMIZERS[name], groups=groups), hyper(RATES[name], l1, group_l1={
        "outgoing": 0.04, "incoming": 0.13}[groups])
    parameters = trained(step, 2500, given)["parameters"]
    _, gradients, _ = step.data_gradient(parameters, batch())
    l1_term, _, group = step.terms
    kernel, bias = parameters["logits"]["kernel"], parameters["logits"]["bias"]
    smooth = gradients["logits"]["kernel"] + 2 * L2 * kernel
    after_l1 = l1_term.penalty.least_subgradient(kernel, smooth, given.strengths["l1"][0])
    left = group.penalty.least_subgradient(
        joined(group.penalty, kernel, bias), joined(group.penalty, after_l1, gradients["logits"]["bias"]),
        given.strengths["group_l1"][0])
    assert np.abs(left).max() <= 1e-8
    zeros = ~np.any(kernel, axis={"outgoing": 1, "incoming": 0}[groups])
    assert 1 <= np.sum(zeros) < len(zeros)
    if groups == "incoming":
        np.testing.assert_array_equal(bias.numpy()[zeros], 0)
    else:
        assert np.abs(gradients["logits"]["bias"]).max() <= 1e-8 and zeros[DEAD]


class PlainRates(Adam):
    """A proximal Adam as it is often written: the threshold is learning rate times strength."""

    def update(self, *arguments: Any, **named: Any) -> Update:
        return super().update(*arguments, **named)._replace(rates=lambda layer, name: tf.constant(0.02, tf.float64))


class UncorrectedRates(Adam):
    """The rates of Adam without the correction of v for its start at 0."""

    def update(self, *arguments: Any, **named: Any) -> Update:
        update = super().update(*arguments, **named)
        learning_rate, v = arguments[4], update.slots["v"]
        return update._replace(rates=lambda layer, name: learning_rate / (tf.sqrt(v[layer][name]) + 1e-7))


class Forgetful(SGD):
    """A momentum that does not learn what the proximal operator took from the move."""

    def displaced(self, slots: Any, moves: Any) -> Any:
        return slots


def test_the_wrong_metrics_settle_elsewhere() -> None:
    step, given = made_step(PlainRates()), hyper(0.02)
    assert residual(step, trained(step, 2500, given)["parameters"], given) > 1e-3
    step, given = made_step(Forgetful(momentum=0.9)), hyper(0.3)
    parameters = trained(step, 2500, given)["parameters"]
    assert residual(step, parameters, given) > 1e-3
    assert residual(step, parameters, hyper(0.3, 0.1 * L1)) <= 1e-12  # It is the solution for λ·(1 − μ).


def stationary(optimizer: Optimizer, taken: int) -> tuple[State, Parameters]:
    """Weights and a data gradient that satisfy the KKT conditions, and the slots of an optimizer that has long been
    there, `taken` updates after they were 0."""
    rng = np.random.default_rng(2)
    kernel = rng.normal(size=(FEATURES, CLASSES)) * (rng.random((FEATURES, CLASSES)) < 0.5)
    at_zero = L1 * rng.uniform(-0.99, 0.99, kernel.shape)
    decay = getattr(optimizer, "weight_decay", 0.0)
    smooth = np.where(kernel == 0, at_zero, -L1 * np.sign(kernel) / (1 - decay * np.abs(kernel)))
    parameters = {"logits": {"kernel": tf.constant(kernel), "bias": tf.constant(rng.normal(size=CLASSES))}}
    total = {"logits": {"kernel": tf.constant(smooth), "bias": tf.zeros([CLASSES], tf.float64)}}
    slots = optimizer.slots(parameters)
    if "m" in slots:
        slots = {"m": map_arrays(lambda g: (1 - 0.9 ** taken) * g, total),
                 "v": map_arrays(lambda g: (1 - 0.999 ** taken) * g * g, total)}
    state: State = {"parameters": parameters, "buffers": {}, "slots": slots, "step": tf.constant(taken, tf.int64)}
    data = {"logits": {**total["logits"], "kernel": tf.constant(smooth - 2 * L2 * kernel)}}
    return state, data


def moved(optimizer: Optimizer, taken: int) -> float:
    """How far one update moves a stationary point."""
    state, data = stationary(optimizer, taken)
    after = made_step(optimizer).update(state, data, hyper(0.02))["parameters"]
    return max(float(tf.reduce_max(tf.abs(a - b))) for a, b in zip(
        tf.nest.flatten(after), tf.nest.flatten(state["parameters"]), strict=True))


@pytest.mark.parametrize("taken", [0, 1, 30, 10 ** 6])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_stationary_point_stays_at_every_step(name: str, taken: int) -> None:
    optimizer = OPTIMIZERS[name]
    if isinstance(optimizer, Adam):  # Of which ε is no part of the conditions.
        optimizer = dataclasses.replace(optimizer, epsilon=1e-300)
    assert moved(optimizer, taken) <= 1e-14


def test_rates_without_the_bias_correction_move_a_stationary_point() -> None:
    assert moved(UncorrectedRates(), 30) > 1e-2
    assert moved(UncorrectedRates(), 10 ** 6) <= 1e-6
    assert moved(PlainRates(), 30) > 1e-3


def test_sgd_is_the_proximal_descent_of_tensorflow() -> None:
    step = made_step(SGD())
    given = hyper(0.25, l2=0.0)
    state = initial_state(step, step.model.initialize(3))
    theirs = {name: tf.Variable(array) for name, array in state["parameters"]["logits"].items()}
    update = tf.function(lambda state: step.update(state, step.data_gradient(state["parameters"], batch())[1], given))
    gradient = tf.function(lambda parameters: step.data_gradient(parameters, batch())[1])
    rate, strengths = tf.constant(0.25, tf.float64), {"kernel": L1, "bias": 0.0}
    for _ in range(200):
        state = update(state)
        gradients = gradient({"logits": {name: variable.read_value() for name, variable in theirs.items()}})["logits"]
        for name, of_array in gradients.items():
            tf.raw_ops.ResourceApplyProximalGradientDescent(
                var=theirs[name].handle, alpha=rate, delta=of_array, l1=tf.constant(strengths[name], tf.float64),
                l2=tf.constant(0.0, tf.float64))
    for name, array in state["parameters"]["logits"].items():
        np.testing.assert_allclose(array, theirs[name], rtol=0, atol=1e-12)
    assert np.mean(state["parameters"]["logits"]["kernel"].numpy() == 0) > 0.2


# What a step does.

def test_an_update_is_the_formula_written_in_numpy() -> None:
    """Clipping concerns the smooth part alone, and the threshold is not scaled with it."""
    step, given = made_step(SGD(), clip_norm=0.05), hyper(0.25)
    state = initial_state(step, step.model.initialize(3))
    _, data, _ = step.data_gradient(state["parameters"], batch())
    w, g = state["parameters"]["logits"]["kernel"].numpy(), data["logits"]["kernel"].numpy()
    smooth, bias = g + 2 * L2 * w, data["logits"]["bias"].numpy()
    scale = 0.05 / np.sqrt((smooth ** 2).sum() + (bias ** 2).sum())
    assert scale < 1
    w = w - 0.25 * scale * smooth
    expected = np.sign(w) * np.maximum(np.abs(w) - 0.25 * L1, 0)
    after = step.update(state, data, given)["parameters"]["logits"]
    np.testing.assert_allclose(after["kernel"], expected, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(after["bias"], -0.25 * scale * bias, rtol=1e-13)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_the_row_of_a_dead_input_is_soon_exactly_zero_and_stays(name: str) -> None:
    step, given = made_step(OPTIMIZERS[name]), hyper(0.1, l2=0.0)
    state = initial_state(step, step.model.initialize(0))
    update = tf.function(lambda state: step.update(state, step.data_gradient(state["parameters"], batch())[1], given))
    assert np.all(state["parameters"]["logits"]["kernel"][DEAD])
    for taken in range(1, 160):
        state = update(state)
        if taken >= (1 if name == "adam" else 100):  # Of Adam, whose v is 0 there, every rate is huge.
            row = state["parameters"]["logits"]["kernel"][DEAD].numpy()
            assert not np.any(row) and not np.any(np.signbit(row)), taken
    assert all(np.isfinite(array).all() for array in tf.nest.flatten(state["parameters"]))


def test_an_update_that_is_not_finite_is_left_out_whole() -> None:
    step, given = made_step(Adam(), skip=True), hyper(0.05)
    state = initial_state(step, step.model.initialize(0))
    _, data, _ = step.data_gradient(state["parameters"], batch())
    data["logits"]["kernel"] *= np.nan
    after, loss = step.update_if_finite(state, tf.constant(1.0, tf.float64), data, given)
    assert np.isnan(loss) and after["step"] == 1
    for mine, before in zip(tf.nest.flatten(after["parameters"]), tf.nest.flatten(state["parameters"]), strict=True):
        np.testing.assert_array_equal(mine, before)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_lanes_of_their_own_strengths_are_runs_of_their_own(name: str) -> None:
    step = made_step(OPTIMIZERS[name])
    lanes = [(initial_state(step, step.model.initialize(seed))["parameters"], hyper(0.05, l1))
             for seed, l1 in enumerate((0.0, 0.01, 1.0))]

    def steps(lane: tuple[Parameters, Hyperparameters]) -> Parameters:
        state = initial_state(step, Weights(lane[0]))
        for _ in range(2):
            state = step.update(state, step.data_gradient(state["parameters"], batch())[1], lane[1])
        return state["parameters"]

    together = tf.function(over_lanes(steps, 3), jit_compile=name == "adam")(stack_lanes(lanes))
    single = tf.function(steps)
    for i, lane in enumerate(lanes):
        alone = single(lane)["logits"]["kernel"].numpy()
        mine = together["logits"]["kernel"][i].numpy()
        np.testing.assert_allclose(mine, alone, rtol=0, atol=1e-13)
        np.testing.assert_array_equal(mine == 0, alone == 0)


def operations(proximal: bool) -> list[str]:
    step = made_step(Adam(), proximal=proximal)
    state, data = stationary(Adam(), 3)
    traced = tf.function(step.update).get_concrete_function(state, data, hyper(0.02))
    return [operation.type for operation in traced.graph.get_operations()]


def test_without_proximal_operators_a_program_holds_no_operation_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    without = operations(False)
    assert {"Minimum", "Maximum"}.isdisjoint(without) and {"Minimum", "Maximum"} <= set(operations(True))
    monkeypatch.delattr(Step, "_apply_proximal")
    assert operations(False) == without
    assert without.count("Sqrt") == 3 and without.count("Pow") == 2  # A rate, and two arrays of v.


