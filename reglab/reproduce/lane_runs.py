"""Trains lanes for a reproduction, scores each on all three splits, and counts what is left of it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from reglab.config import Config
from reglab.config.selection import make_model
from reglab.core.models import EVALUATION, Model
from reglab.core.parameters import Weights, map_arrays
from reglab.core.terms import SPARSITY_THRESHOLD
from reglab.data import Dataset, Examples
from reglab.engine.assembly import total_steps
from reglab.lab.lanes import Lane, LaneCurves, LaneTrainer
from reglab.reproduce.base import Job
from reglab.sweep.capacity import choose_lanes_per_call


class Scores(NamedTuple):
    """The figures of each lane after its last step, [lanes] fractions; errors are NaN where it diverged.

    Attributes:
      train, validation, test: the share of wrong predictions.
      zeros, small: the share of kernel entries that are exactly 0, or within `SPARSITY_THRESHOLD` of it.
      inputs, hidden: the share of inputs, or of hidden units, whose outgoing weights are all exactly 0.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    zeros: np.ndarray
    small: np.ndarray
    inputs: np.ndarray
    hidden: np.ndarray


class Trained(NamedTuple):
    """The scores of all lanes, and the outgoing norms of the inputs, [lanes, inputs]."""

    scores: Scores
    input_norms: np.ndarray


def train_lanes(config: Config, data: Dataset, lanes: Sequence[Lane], job: Job) -> Trained:
    """Trains all lanes, as many together as serve best, and scores them.

    The test part has no effect on anything here: who chooses among the lanes must look at `Scores.validation` alone.

    Args:
      config: what the lanes have in common.
    """
    size = choose_lanes_per_call(len(lanes), config, data)
    trainer = LaneTrainer(config, data, size, strengths={
        name: list(dict.fromkeys(lane.strengths[name] for lane in lanes)) for name in lanes[0].strengths})
    model = make_model(config, data.input_shape, data.classes)
    steps, parts = total_steps(config, data), list[Trained]()
    total = steps * -(-len(lanes) // size)
    for start in range(0, len(lanes), size):
        together = list(lanes[start:start + size])
        padded = together + together[-1:] * (size - len(together))
        on_step = functools.partial(_of_all, job, start // size * steps, total)
        curves = trainer.train(padded, warn=job.console.warning, on_step=on_step)
        parts.append(_trained(model, data, curves, len(together)))
    scores = Scores(*map(np.concatenate, zip(*(part.scores for part in parts), strict=True)))
    return Trained(scores, np.concatenate([part.input_norms for part in parts]))


def kept(scores: Scores, shape: Sequence[int]) -> dict[str, Any]:
    """Returns the scores as JSON values, each reshaped from [lanes]."""
    return {name: np.reshape(values, shape).tolist() for name, values in scores._asdict().items()}


def _of_all(job: Job, before: int, total: int, step: int) -> None:
    job.on_step(before + step, total)


def _trained(model: Model, data: Dataset, curves: LaneCurves, count: int) -> Trained:
    alone = [Weights(*(map_arrays(lambda array: array[lane], arrays)  # noqa: B023
                       for arrays in (curves.parameters, curves.buffers))) for lane in range(count)]
    assert data.test is not None, "a reproduction has a test part"
    errors = [1 - of_split["accuracy"][-1][:count] for of_split in (curves.train, curves.validation)]
    errors.append(np.array([_error(model, data, weights, data.test) for weights in alone]))
    kernels = [[np.asarray(kernel) for kernel in model.kernels(weights.parameters).values()] for weights in alone]
    counts = np.array([_counts(of_lane) for of_lane in kernels])
    first = np.array([np.linalg.norm(of_lane[0].reshape(-1, of_lane[0].shape[-1]), axis=1) for of_lane in kernels])
    diverged = curves.diverged[:count]
    return Trained(Scores(*(np.where(diverged, np.nan, error) for error in errors), *counts.T), first)


def _counts(kernels: Sequence[np.ndarray]) -> tuple[float, float, float, float]:
    entries = np.concatenate([kernel.ravel() for kernel in kernels])
    gone = [(kernel == 0).all(-1) for kernel in kernels]
    hidden = np.concatenate(gone[1:]) if len(gone) > 1 else np.zeros(1, bool)
    return (float(np.mean(entries == 0)), float(np.mean(np.abs(entries) <= SPARSITY_THRESHOLD)),
            float(np.mean(gone[0])), float(np.mean(hidden)))


def _error(model: Model, data: Dataset, weights: Weights, examples: Examples) -> float:
    x = examples.x.reshape(-1, *data.input_shape).astype(tf.nest.flatten(weights)[0].dtype) / data.divisor
    logits, _ = model.apply(*weights, tf.constant(x), EVALUATION)
    return float(np.mean(logits.numpy().argmax(1) != examples.y))
