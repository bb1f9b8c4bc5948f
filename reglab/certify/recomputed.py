"""The figures of a run, computed once more in float64 from its weights and its data alone, each in its plain form.

Nothing here is shared with what wrote them: sums are TensorFlow's reductions of the penalties' entries instead of the
training program's products with ones, and losses are NumPy's from the logits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from reglab.config.selection import make_model
from reglab.core.debiasing import strengths_then
from reglab.core.parameters import Parameters, map_arrays
from reglab.core.penalties import value
from reglab.core.step import Hyperparameters, Step
from reglab.core.terms import SPARSITY_THRESHOLD
from reglab.data import Dataset, Examples
from reglab.run.evaluation import Evaluation
from reglab.trained.network import Network
from reglab.trained.scores import log_probabilities

SPLITS: Final = ("train", "validation")
_ROUNDING: Final = {"float64": 1e-13, "float32": 1e-5, "bfloat16": 1e-3}
"""What rounding explains of a mean loss in a run's precision, per unit of its largest logit."""
_MOST_VALUES: Final = 2 * 10**7


@dataclasses.dataclass(frozen=True)
class Recomputed:
    """Figures with how far rounding may move them.

    Attributes:
      evaluation: the figures, as a run evaluates them.
      measured: those of the weights, as a run measures them before the next update.
      loss_rounding: maps each split to what rounding may move its mean losses by.
      accuracy_rounding: maps each split to the part of its examples whose two largest logits are within rounding.
    """

    evaluation: Evaluation
    measured: Mapping[str, float]
    loss_rounding: Mapping[str, float]
    accuracy_rounding: Mapping[str, float]


def in_float64(network: Network) -> Network:
    """Returns the network with its weights and all that it computes in float64."""
    config = dataclasses.replace(network.config, precision="float64")
    weights = map_arrays(lambda array: tf.cast(array, tf.float64), network.weights)
    model = make_model(config, network.input_shape, network.classes)
    return dataclasses.replace(network, config=config, model=model, weights=weights)


def in_force(step: Step, hyper: Hyperparameters, before: int) -> Hyperparameters:
    """Returns the hyper-parameters of the update that follows `before` updates; debiasing has strengths of 0."""
    if step.debias_from is None:
        return hyper
    off = tf.constant(bool(step.is_debiasing(before)))
    return hyper._replace(strengths=strengths_then(hyper.strengths, step.terms, off))


def loss_weights(step: Step, dataset: Dataset, split: str) -> npt.NDArray[np.float64]:
    """Returns how much each example of a split counts in the loss that is trained on: [n]."""
    return dataset.loss_weights(split) if step.weighted else np.ones(len(dataset.splits[split]))


def chunk(network: Network) -> int:
    """Returns how many examples are taken at once, so that what the network computes of them fits into memory."""
    return max(1, min(1000, _MOST_VALUES // max(network.model.activations, 1)))


def recompute(network: Network, step: Step, hyper: Hyperparameters, dataset: Dataset) -> Recomputed:
    """Computes the figures of a network.

    Args:
      network: as it was read. Products that were rounded to bfloat16 in training are rounded here, too.
      step, hyper: the objective in float64.
    """
    exact = in_float64(network)
    of_logits = network if network.config.precision == "bfloat16" else exact
    scores, loss_rounding, accuracy_rounding = {}, {}, {}
    for split in SPLITS:
        logits, y = _logits(of_logits, dataset.splits[split]), dataset.splits[split].y
        scores[split] = _scores(logits, y, step, loss_weights(step, dataset, split))
        rounding = _ROUNDING[network.config.precision] * max(1.0, float(np.abs(logits).max()))
        top = np.sort(logits, axis=1)[:, -2:]
        loss_rounding[split] = rounding
        accuracy_rounding[split] = float(np.mean(top[:, 1] - top[:, 0] <= 2 * rounding))
    measured, weights = ({**of_weights(exact.parameters, step, in_force(step, hyper, before)), **_counts(network, step)}
                         for before in (network.step, network.step - 1))
    epoch = -(-network.step // steps_an_epoch(network, dataset))
    return Recomputed(Evaluation.of(network.step, epoch, scores["train"], scores["validation"], weights), measured,
                      loss_rounding, accuracy_rounding)


def steps_an_epoch(network: Network, dataset: Dataset) -> int:
    """Returns the number of steps in an epoch of the run."""
    return -(-len(dataset.train) // network.config.batch_size)


def of_weights(parameters: Parameters, step: Step, hyper: Hyperparameters) -> dict[str, float]:
    """Computes by tag each penalty in all, by term and by layer, each norm, and that of the penalties' gradient."""
    found: dict[str, float] = {}
    for term in step.terms:
        strengths = dict(zip(term.layers, hyper.strengths[term.name].numpy(), strict=True))
        values = {layer: value(term.penalty, step.covered(term, layer, parameters)).numpy()
                  for layer in step.model.kernel_layers}
        of_layers = {layer: float(strengths[layer] * values[layer]) for layer in term.layers}
        found |= {f"penalty/{layer}/{term.name}": number for layer, number in of_layers.items()}
        found[f"penalty/{term.name}"] = sum(of_layers.values())
        found |= {f"norm/{layer}/{term.name}": float(term.penalty.norm(of_layer)) for layer, of_layer in values.items()}
    found["penalty/total"] = sum(found[f"penalty/{term.name}"] for term in step.terms)
    gradients = dataclasses.replace(step, terms=tuple(term._replace(proximal=False) for term in step.terms)
                                    ).penalty_gradient(parameters, hyper)
    squares = [float(tf.reduce_sum(tf.square(gradient))) for gradient in tf.nest.flatten(gradients)]
    return {**found, "gradient_norm/penalty": float(np.sqrt(sum(squares)))}


def _counts(network: Network, step: Step) -> dict[str, float]:
    """Counts small entries, in the dtype of the run, since 0.001 is another number in float32, and zeros if it does."""
    kernels = {layer: array.numpy() for layer, array in network.model.kernels(network.parameters).items()}
    size = sum(w.size for w in kernels.values())
    found: dict[str, float] = {}
    for name, most in (("sparsity", SPARSITY_THRESHOLD), *([("zeros", 0.0)] if any(
            term.proximal for term in step.terms) else [])):
        counts = {layer: int(np.sum(np.abs(w) <= w.dtype.type(most))) for layer, w in kernels.items()}
        found |= {f"{name}/{layer}": count / kernels[layer].size for layer, count in counts.items()}
        found[f"{name}/total"] = sum(counts.values()) / size
    return found


def _logits(network: Network, examples: Examples) -> npt.NDArray[np.float64]:
    size = chunk(network)
    parts = [network.logits(examples.x[first:first + size]) for first in range(0, len(examples), size)]
    return np.concatenate(parts).astype(np.float64)


def _scores(logits: npt.NDArray[np.float64], y: npt.NDArray[np.int32], step: Step,
            weights: npt.NDArray[np.float64]) -> dict[str, float]:
    log_p = log_probabilities(logits)
    losses = -log_p[np.arange(len(y)), y]
    found: dict[str, Any] = {"data_loss": losses.mean(), "accuracy": np.mean(logits.argmax(axis=1) == y)}
    if step.trained_loss != "data_loss":
        smoothed = (1 - step.label_smoothing) * losses - step.label_smoothing * log_p.mean(axis=1)
        found[step.trained_loss] = np.average(smoothed, weights=weights)
    return {name: float(number) for name, number in found.items()}
