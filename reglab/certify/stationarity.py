"""How far weights are from a stationary point of the whole objective, entry by entry, and what that says of zeros."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from reglab.certify.recomputed import chunk, loss_weights, steps_an_epoch
from reglab.core.models import EVALUATION
from reglab.core.models.base import ArrayInfo
from reglab.core.parameters import Parameters, map_arrays, replaced
from reglab.core.step import Batch, Hyperparameters, Step
from reglab.core.terms import SPARSITY_THRESHOLD, Term
from reglab.data import Dataset, Examples, epoch_order
from reglab.trained.network import Network

NEAR: Final = 0.05
"""An entry is settled if its distance is at most this part of the strength."""
_MOST_BATCHES: Final = 100
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Distance:
    """The distance of one array from a stationary point: the sizes of the entries of the least subgradient.

    Attributes:
      strength: λ, of the penalty with a kink if there is one, else the largest; None where nothing is penalized.
      largest, mean: over the entries.
      within: the part of the entries within `NEAR`·λ, or None without λ.
      settled_zeros: the part that is exactly 0 and within.
      nearly_zeros: the part that is not, but small, and would be within if it were exactly 0.
      moving: the part of all others that is not within; what is still being trained.
    """

    strength: float | None
    largest: float
    mean: float
    within: float | None = None
    settled_zeros: float | None = None
    nearly_zeros: float | None = None
    moving: float | None = None


def data_gradient(network: Network, step: Step, examples: Examples, weights: Floats,
                  size: int | None = None) -> Parameters:
    """Computes the gradient of the data loss of all examples, as evaluated: without dropout, with kept averages.

    Args:
      network: in float64.
      weights: how much each counts, [n].
      size: how many examples are taken at once.
    """
    size = size or chunk(network)
    total: Parameters | None = None
    for first in range(0, len(examples), size):
        part = slice(first, first + size)
        y, count = examples.y[part], tf.constant(float(len(examples)), tf.float64)
        batch = Batch(network.prepared(examples.x[part]), tf.constant(y), tf.ones([len(y)], tf.float64), count,
                      tf.range(len(y)), tf.constant(weights[part]), tf.constant(weights.sum()))
        more = step.data_gradient(network.parameters, batch, network.weights.buffers, EVALUATION)[1]
        total = more if total is None else map_arrays(tf.add, total, more)
    assert total is not None, "a split has examples"
    return total


def distances(network: Network, step: Step, hyper: Hyperparameters, gradient: Parameters) -> dict[str, Distance]:
    """Maps each trained array, as layer/name, to its distance.

    Args:
      network: in float64.
      gradient: that of the data loss.
    """
    found, holds = {}, step.debias_from is not None and bool(step.is_debiasing(network.step - 1))
    for array in step.model.arrays:
        terms = [term for term in step.terms if array.layer in term.layers
                 and (array.role == "kernel" or (array.role == "bias" and term.penalty.covers_bias))]
        if array.role != "buffer":
            found[array.path] = _of_array(step, hyper, array, terms, network.parameters, gradient, holds)
    return found


def clipped_share(network: Network, step: Step, hyper: Hyperparameters, dataset: Dataset) -> float | None:
    """Returns the part of the run's last batches whose gradient --clip_norm would shorten, or None without it."""
    if step.clip_norm is None:
        return None
    config, steps = network.config, steps_an_epoch(network, dataset)
    order = epoch_order(config.resolved_data_seed, max(network.step - 1, 0) // steps, len(dataset.train))
    weights = loss_weights(step, dataset, "train")
    of_penalties, norms = step.penalty_gradient(network.parameters, hyper), []
    for first in range(0, min(steps, _MOST_BATCHES) * config.batch_size, config.batch_size):
        ids = order[first:first + config.batch_size]
        gradient = data_gradient(network, step, dataset.train.take(ids), weights[ids], len(ids))
        total = replaced(gradient, {layer: {name: gradient[layer][name] + added for name, added in arrays.items()}
                                    for layer, arrays in of_penalties.items()})
        norms.append(float(tf.linalg.global_norm(tf.nest.flatten(total))))
    return float(np.mean(np.array(norms) > step.clip_norm))


def _of_array(step: Step, hyper: Hyperparameters, array: ArrayInfo, terms: Sequence[Term], parameters: Parameters,
              of_data: Parameters, holds: bool) -> Distance:
    """Returns the distance of an array that these terms are of; `holds`: whether zeros are held, by debiasing."""
    w = parameters[array.layer][array.name].numpy()
    here = _least(step, hyper, array, parameters, of_data, holds)
    given = {term: float(hyper.strengths[term.name][term.layers.index(array.layer)]) for term in terms}
    given = {term: strength for term, strength in given.items() if strength}
    kinked = [strength for term, strength in given.items() if not term.penalty.is_smooth]
    if not given:
        return Distance(None, *_largest_and_mean(here))
    strength = max(kinked or given.values())
    near, is_zero, is_small = here <= NEAR * strength, w == 0, np.abs(w) <= SPARSITY_THRESHOLD
    if kinked and not holds:
        with_zeros = map_arrays(lambda part: tf.where(tf.abs(part) <= SPARSITY_THRESHOLD, tf.zeros_like(part), part),
                                {array.layer: parameters[array.layer]})
        at_zero = _least(step, hyper, array, replaced(parameters, with_zeros), of_data, holds)
        would_be_zero = is_small & ~is_zero & (at_zero <= NEAR * strength)
    else:
        would_be_zero = np.zeros_like(near)
    return Distance(strength, *_largest_and_mean(here), float(near.mean()), float((is_zero & near).mean()),
                    float((would_be_zero & ~near).mean()), float((~near & ~would_be_zero).mean()))


def _least(step: Step, hyper: Hyperparameters, array: ArrayInfo, parameters: Parameters, of_data: Parameters,
           holds: bool) -> Floats:
    """Returns the sizes of the entries of the least subgradient of the total in an array."""
    found = of_data
    # Smooth penalties first: then the least subgradients of the others may be taken one after the other.
    for term in sorted(step.terms, key=lambda term: not term.penalty.is_smooth):
        if array.layer in term.layers:
            strength = hyper.strengths[term.name][term.layers.index(array.layer)]
            w, gradient = (step.covered(term, array.layer, arrays) for arrays in (parameters, found))
            if holds and not term.penalty.is_smooth:  # They are off, and their zeros cannot move.
                least = tf.where(w == 0, tf.zeros_like(gradient), gradient)
            else:
                least = term.penalty.least_subgradient(w, gradient, strength)
            found = replaced(found, {array.layer: step.uncovered(term, array.layer, least, parameters)})
    sizes: Floats = np.abs(found[array.layer][array.name].numpy())
    return sizes


def _largest_and_mean(entries: Any) -> tuple[float, float]:
    return float(np.abs(entries).max()), float(np.abs(entries).mean())


def over_all(found: Mapping[str, Distance], sizes: Mapping[str, int], name: str) -> float | None:
    """Returns the mean of a share over the entries of all penalized arrays, or None if there are none."""
    shares = {path: getattr(one, name) for path, one in found.items() if one.strength is not None}
    entries = sum(sizes[path] for path in shares)
    return sum(share * sizes[path] for path, share in shares.items()) / entries if entries else None
