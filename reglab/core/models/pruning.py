"""Takes units out of Dense layers that no logit needs, without changing what the layers compute.

A unit whose outgoing weights are all 0 is heard by no one. A unit whose incoming weights are all 0 is the constant
activation(bias), which the biases of the next layer can take over. Either makes others go, so both are looked for until
nothing changes (LeCun, Denker and Solla 1990 prune by saliency; here all that goes has none).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from reglab.core.lazily import np

Array = Any  # A NumPy array of floats.


class PrunedLayers(NamedTuple):
    """Dense layers without the units that were not needed, float64.

    Attributes:
      kernels, biases: those that are left, starting at the input side.
      kept: the former places of the units that are left in each hidden layer.
      used_inputs: the places of the inputs with a weight other than 0; at least one.
    """

    kernels: list[Array]
    biases: list[Array]
    kept: list[Array]
    used_inputs: Array


def prune_units(kernels: Sequence[Array], biases: Sequence[Array],
                activation: Callable[[Array], Array]) -> PrunedLayers:
    """Prunes a chain of layers x @ kernel + bias, with an activation after all but the last.

    Every hidden layer keeps a unit, since there are no layers without: its weights are then 0. All inputs stay, so that
    what the layers take is the same.

    Args:
      kernels: [inputs, units] of each layer; the inputs are the units of the layer before.
      biases: [units] of each layer.
      activation: the function applied to the outputs of the hidden layers, entry by entry.
    """
    kernels, biases = ([np.array(array, np.float64) for array in arrays] for arrays in (kernels, biases))
    kept = [np.arange(kernel.shape[1]) for kernel in kernels[:-1]]
    changed = True
    while changed:
        changed = False
        for at in range(len(kernels) - 1):
            needed = _fold_constants(kernels, biases, at, activation)
            if not needed.any():
                kernels[at][:, 0], biases[at][0], needed[0] = 0, 0, True
            if not needed.all():
                kernels[at], biases[at] = kernels[at][:, needed], biases[at][needed]
                kernels[at + 1], kept[at] = kernels[at + 1][needed], kept[at][needed]
                changed = True
    used = np.flatnonzero(kernels[0].any(axis=1))
    return PrunedLayers(kernels, biases, kept, used if len(used) else np.arange(1))


def _fold_constants(kernels: list[Array], biases: list[Array], at: int, activation: Callable[[Array], Array]) -> Array:
    """Adds what the constant units of a hidden layer give to the next biases; returns which units are still needed."""
    constant = ~kernels[at].any(axis=0)
    biases[at + 1] = biases[at + 1] + activation(biases[at][constant]) @ kernels[at + 1][constant]
    kernels[at + 1][constant] = 0
    heard: Array = kernels[at + 1].any(axis=1)
    return heard
