"""The reported numbers against NumPy, computed from the weights themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reglab.core import penalties
from reglab.core.measurement import Reporter
from reglab.core.step import Measurement, Step
from reglab.core.terms import SPARSITY_THRESHOLD, Term
from reglab.engine.training import Training

LAYERS, PENALIZED = ("dense_0", "dense_1", "logits"), (0, 2)
SHAPES = ((6, 5), (5, 4), (4, 3))
L1, L2 = np.array([0.5, 0.25]), np.array([2.0, 0.125])


def made_kernels(seed: int) -> list[np.ndarray]:
    """Normally distributed entries, some of them exactly 0 and some small."""
    rng = np.random.default_rng(seed)
    kernels = [rng.normal(size=shape) for shape in SHAPES]
    for kernel in kernels:
        kernel[rng.random(kernel.shape) < 0.2] = 0
        kernel[rng.random(kernel.shape) < 0.2] *= 1e-5
    return kernels


def sums_of(kernels: list[np.ndarray]) -> np.ndarray:
    return np.array([[np.abs(w).sum(), (w ** 2).sum(), (np.abs(w) <= SPARSITY_THRESHOLD).sum(), (w != 0).sum()]
                     for w in kernels]).T


def reporter(l1: np.ndarray = L1, l2: np.ndarray = L2) -> Reporter:
    terms = tuple(Term(penalties.get(name), tuple(LAYERS[place] for place in PENALIZED)) for name in ("l1", "l2"))
    return Reporter(LAYERS, tuple(np.prod(shape) for shape in SHAPES), terms, {"l1": l1, "l2": l2})


def expected(kernels: list[np.ndarray]) -> dict[str, float]:
    """Every tag that depends on the weights, computed from its definition."""
    tags, gradients = {}, []
    for layer, w in zip(LAYERS, kernels, strict=True):
        tags |= {f"norm/{layer}/l1": np.abs(w).sum(), f"norm/{layer}/l2": np.linalg.norm(w),
                 f"sparsity/{layer}": np.mean(np.abs(w) <= SPARSITY_THRESHOLD)}
    for k, place in enumerate(PENALIZED):
        w = kernels[place]
        tags |= {f"penalty/{LAYERS[place]}/l1": L1[k] * np.abs(w).sum(),
                 f"penalty/{LAYERS[place]}/l2": L2[k] * (w ** 2).sum()}
        gradients.append((L1[k] * np.sign(w) + 2 * L2[k] * w).ravel())
    for term in ("l1", "l2"):
        tags[f"penalty/{term}"] = sum(tags[f"penalty/{LAYERS[place]}/{term}"] for place in PENALIZED)
    everything = np.concatenate([w.ravel() for w in kernels])
    return tags | {"penalty/total": tags["penalty/l1"] + tags["penalty/l2"],
                   "sparsity/total": np.mean(np.abs(everything) <= SPARSITY_THRESHOLD),
                   "gradient_norm/penalty": np.linalg.norm(np.concatenate(gradients))}


def test_every_tag_of_the_weights_is_what_its_definition_gives() -> None:
    kernels = made_kernels(0)
    found, wanted = reporter().of_weights(sums_of(kernels)), expected(kernels)
    assert set(found) == set(wanted)
    for tag, value in wanted.items():
        np.testing.assert_allclose(found[tag], value, rtol=1e-12, err_msg=tag)


@pytest.mark.parametrize(("l1", "l2"), [(0.5, 0.0), (0.0, 2.0), (0.5, 2.0), (0.0, 0.0)])
def test_the_penalty_gradient_norm_is_that_of_the_gradient_itself(l1: float, l2: float) -> None:
    kernels = made_kernels(1)
    direct = [l1 * np.sign(kernels[place]) + 2 * l2 * kernels[place] for place in PENALIZED]
    found = reporter(np.full(2, l1), np.full(2, l2)).of_weights(sums_of(kernels))["gradient_norm/penalty"]
    np.testing.assert_allclose(found, np.sqrt(sum((gradient ** 2).sum() for gradient in direct)), rtol=1e-12)


def test_leading_axes_are_reports_and_lanes() -> None:
    made = [[made_kernels(10 * report + lane) for lane in range(2)] for report in range(3)]
    strengths = np.array([[0.5, 0.25], [0.125, 1.0]]), np.array([[2.0, 0.5], [0.0, 4.0]])
    together = reporter(*strengths).of_weights(
        list(np.moveaxis([[sums_of(kernels) for kernels in lanes] for lanes in made], 2, 0)))
    for report, lanes in enumerate(made):
        for lane, kernels in enumerate(lanes):
            alone = reporter(strengths[0][lane], strengths[1][lane]).of_weights(sums_of(kernels))
            for tag, value in alone.items():
                assert together[tag].shape == (3, 2)
                np.testing.assert_allclose(together[tag][report, lane], value, rtol=1e-13, err_msg=tag)


def test_the_total_of_a_step_is_its_data_loss_and_penalty() -> None:
    measured = Measurement(np.array([0.75, 0.5]), np.array([0.5, 1.0]), np.array([3.0, 4.0]), np.array([0.1, 0.2]),
                           tuple(np.stack([sums_of(made_kernels(2)), sums_of(made_kernels(3))], axis=1)))
    found = reporter().of_step(measured)
    np.testing.assert_array_equal(found["train_batch/total"], found["train_batch/data_loss"] + found["penalty/total"])
    for tag, values in {"train_batch/data_loss": measured.data_loss, "train_batch/accuracy": measured.accuracy,
                        "learning_rate": [0.1, 0.2], "gradient_norm/data": [3.0, 4.0]}.items():
        np.testing.assert_array_equal(found[tag], values)
    assert set(found) == set(expected(made_kernels(2))) | {
        "train_batch/total", "train_batch/data_loss", "train_batch/accuracy", "learning_rate", "gradient_norm/data"}


def test_layers_that_are_not_penalized_have_norms_but_no_penalty(make_step: Callable[..., Step]) -> None:
    step = make_step(penalize="hidden")
    found = Reporter.of(step, {"l1": L1, "l2": L2}).of_weights(sums_of(made_kernels(0)))
    assert {tag for tag in found if "logits" in tag} == {"norm/logits/l1", "norm/logits/l2", "sparsity/logits"}
    assert {"penalty/dense_0/l1", "penalty/dense_1/l2"} <= set(found)


def test_a_training_reports_its_own_weights(dataset: Any, make_training: Callable[..., Training]) -> None:
    training = make_training(dataset, l1=0.5, l2=2.0, penalize="dense_0|logits")
    kernels = made_kernels(4)
    for layer, kernel in zip(LAYERS, kernels, strict=True):
        training.state["parameters"][layer]["kernel"].assign(kernel)
    found = training.measure_weights()
    wanted = reporter(np.full(2, 0.5), np.full(2, 2.0)).of_weights(sums_of(kernels))
    assert set(found) == set(wanted)
    for tag, value in wanted.items():
        np.testing.assert_allclose(found[tag], value, rtol=1e-12, err_msg=tag)
