"""Pruned Dense layers against the whole ones, in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reglab.core.models.pruning import PrunedLayers, prune_units

Chain = tuple[list[np.ndarray], list[np.ndarray]]
WIDTHS = (7, 6, 5, 4, 3)


def chain(seed: int = 0) -> Chain:
    random = np.random.default_rng(seed)
    return ([random.normal(size=shape) for shape in zip(WIDTHS, WIDTHS[1:], strict=False)],
            [random.normal(size=width) for width in WIDTHS[1:]])


def logits(layers: Chain | PrunedLayers, x: np.ndarray, activation: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    kernels, biases = layers[0], layers[1]
    for at, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        x = x @ kernel + bias
        x = activation(x) if at + 1 < len(kernels) else x
    return x


def pruned(layers: Chain, activation: Callable[[np.ndarray], np.ndarray] = np.tanh) -> PrunedLayers:
    """What is left, once its logits are seen to be the same."""
    before = [array.copy() for arrays in layers for array in arrays]
    found, x = prune_units(*layers, activation), np.random.default_rng(1).normal(size=(50, WIDTHS[0]))
    np.testing.assert_allclose(logits(found, x, activation), logits(layers, x, activation), rtol=0, atol=1e-12)
    for array, again in zip(before, (array for arrays in layers for array in arrays), strict=True):
        np.testing.assert_array_equal(array, again)  # What was given stays as it was.
    return found


def test_without_zeros_nothing_goes() -> None:
    found = pruned(chain())
    assert [len(kept) for kept in found.kept] == [6, 5, 4] and found.used_inputs.tolist() == list(range(7))


def test_a_unit_that_no_one_hears_goes() -> None:
    kernels, biases = chain()
    kernels[2][[0, 3]] = 0
    assert pruned((kernels, biases)).kept[1].tolist() == [1, 2, 4]


@pytest.mark.parametrize("activation", [np.tanh, lambda x: np.maximum(x, 0), lambda x: 1 / (1 + np.exp(-x))])
def test_a_unit_that_hears_no_one_becomes_a_constant_in_the_next_bias(
        activation: Callable[[np.ndarray], np.ndarray]) -> None:
    kernels, biases = chain()
    kernels[1][:, [1, 2]] = 0
    found = pruned((kernels, biases), activation)
    assert found.kept[1].tolist() == [0, 3, 4]
    constants = activation(biases[1][[1, 2]])
    np.testing.assert_allclose(found.biases[2], biases[2] + constants @ kernels[2][[1, 2]], rtol=1e-14)


def test_what_goes_makes_others_go_in_both_directions() -> None:
    kernels, biases = chain()
    kernels[3][2] = 0  # Unit 2 of the third layer is heard by no one,
    kernels[2][4] = 0
    kernels[2][4, 2] = 1.0  # unit 4 of the second by it alone, and unit 5 of the first by that.
    kernels[1][5] = 0
    kernels[1][5, 4] = 1.0
    kernels[0][:, 0] = 0  # Unit 0 of the first layer is constant, and what hears it alone is constant, too.
    kernels[1][:, 3] = 0
    kernels[1][0, 3] = 1.0
    found = pruned((kernels, biases))
    assert [kept.tolist() for kept in found.kept] == [[1, 2, 3, 4], [0, 1, 2], [0, 1, 3]]


def test_unused_inputs_are_told_and_stay() -> None:
    kernels, biases = chain()
    kernels[0][[0, 6]] = 0
    found = pruned((kernels, biases))
    assert found.used_inputs.tolist() == [1, 2, 3, 4, 5] and found.kernels[0].shape == (7, 6)


@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_network_that_is_constant_keeps_a_unit_in_every_layer(at: int) -> None:
    kernels, biases = chain()
    kernels[at][:] = 0
    found = pruned((kernels, biases))
    assert [len(kept) for kept in found.kept] == [1, 1, 1] and len(found.used_inputs) == 1


@pytest.mark.parametrize("seed", range(20))
def test_random_zeros_change_no_logit_and_nothing_more_can_go(seed: int) -> None:
    kernels, biases = chain(seed)
    random = np.random.default_rng(seed)
    kernels = [kernel * (random.random(kernel.shape) < 0.25) for kernel in kernels]
    found = pruned((kernels, biases))
    again = prune_units(found.kernels, found.biases, np.tanh)
    assert [kernel.shape for kernel in again.kernels] == [kernel.shape for kernel in found.kernels]
    for before, after in zip(found.kernels, found.kernels[1:], strict=False):
        if before.shape[1] > 1:
            assert before.any(axis=0).all() and after.any(axis=1).all()
