"""Whole training runs against Keras' own: the same weights, batches, penalties and losses at every step, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reglab.core.optimizers import SGD, Adam, Optimizer
from reglab.core.parameters import Parameters
from reglab.data import Dataset, epoch_order
from reglab.engine.training import Training

# Keras rounds its coefficients to float32, even in float64. These are not changed by that.
BETAS = {"beta1": 0.875, "beta2": 1 - 2.0**-10}
KERAS_BETAS = {"beta_1": 0.875, "beta_2": 1 - 2.0**-10}
KERNELS = dict.fromkeys(("dense_0", "dense_1", "logits"), "kernel")
STEPS, BATCH, LAMBDA1, LAMBDA2 = 200, 8, 2.0**-9, 2.0**-8
OPTIMIZERS: dict[str, tuple[Optimizer, float, str, dict[str, float]]] = {
    "adam": (Adam(**BETAS), 2.0**-6, "Adam", KERAS_BETAS),
    "adamw": (Adam(weight_decay=0.125, decayed=KERNELS, **BETAS), 2.0**-6, "AdamW",
              {"weight_decay": 0.125, **KERAS_BETAS}),
    "sgd": (SGD(), 0.25, "SGD", {}),
    "momentum": (SGD(momentum=0.875), 2.0**-5, "SGD", {"momentum": 0.875}),
}


def train_ours(training: Training) -> tuple[np.ndarray, list[np.ndarray]]:
    """Total loss at each step, before its update, and the arrays at the end."""
    totals: list[float] = []
    for epoch in range(-(-STEPS // training.steps_per_epoch)):
        count = min(training.steps_per_epoch, STEPS - len(totals))
        calls = training.run(epoch, 0, count)
        told = calls.reports["train_batch/total"]
        np.testing.assert_allclose(calls.data_losses + calls.reports["penalty/total"], told, rtol=1e-14)
        totals.extend(told)
    return np.array(totals), flat(training.state["parameters"])


def train_keras(model: Any, dataset: Dataset) -> tuple[np.ndarray, list[np.ndarray]]:
    """The same of `model`, which gets the same examples in the same order, the last batch of an epoch shorter."""
    x, y = dataset.train.x.astype(np.float64), dataset.train.y
    totals: list[float] = []
    epoch = 0
    while len(totals) < STEPS:
        order = epoch_order(0, epoch, len(y))
        for ids in np.split(order, range(BATCH, len(y), BATCH))[:STEPS - len(totals)]:
            model.reset_metrics()
            totals.append(float(model.train_on_batch(x[ids], y[ids])))
        epoch += 1
    return np.array(totals), [np.array(weights) for weights in model.get_weights()]


def flat(parameters: Parameters) -> list[np.ndarray]:
    return [arrays[name].numpy() for arrays in parameters.values() for name in ("kernel", "bias")]


@pytest.mark.parametrize(("name", "penalize"), [*((name, "all") for name in OPTIMIZERS), ("adam", "hidden")])
def test_200_steps_are_those_of_keras(name: str, penalize: str, dataset: Dataset,
                                      make_training: Callable[..., Training], keras64: Any) -> None:
    ours, rate, theirs, settings = OPTIMIZERS[name]
    training = make_training(dataset, l1=LAMBDA1, l2=LAMBDA2, learning_rate=rate, batch_size=BATCH, summary_every=1,
                           jit=True, optimizer=ours, penalize=penalize)
    assert len(dataset.train) % BATCH != 0

    optimizer = getattr(keras64.optimizers, theirs)(learning_rate=rate, **settings)
    if "weight_decay" in settings:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    shrink = {"kernel_regularizer": keras64.regularizers.L1L2(LAMBDA1, LAMBDA2)}
    model = keras64.Sequential([
        keras64.Input((6,)), keras64.layers.Dense(5, activation="tanh", **shrink),
        keras64.layers.Dense(4, activation="tanh", **shrink),
        keras64.layers.Dense(3, **(shrink if penalize == "all" else {}))])
    model.compile(optimizer, keras64.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=False,
                  jit_compile=False)
    first = flat(training.state["parameters"])
    model.set_weights(first)

    totals, arrays = train_ours(training)
    keras_totals, keras_arrays = train_keras(model, dataset)
    assert len(totals) == len(keras_totals) == STEPS
    np.testing.assert_allclose(totals, keras_totals, rtol=0, atol=1e-10)
    for start, mine, theirs_ in zip(first, arrays, keras_arrays, strict=True):
        np.testing.assert_allclose(mine, theirs_, rtol=0, atol=1e-10)
        assert np.abs(mine - start).max() > 0.01  # it did train
