"""Trains lanes for a reproduction and scores each on all three splits."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from reglab.config import Config
from reglab.config.selection import make_model
from reglab.core.models import EVALUATION
from reglab.core.parameters import Weights, map_arrays
from reglab.data import Dataset, Examples
from reglab.engine.assembly import total_steps
from reglab.lab.lanes import Lane, LaneCurves, LaneTrainer
from reglab.reproduce.base import Job
from reglab.sweep.capacity import choose_lanes_per_call


class Scores(NamedTuple):
    """The share of wrong predictions of each lane after its last step, [lanes]; NaN where it diverged."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def scores_of_lanes(config: Config, data: Dataset, lanes: Sequence[Lane], job: Job) -> Scores:
    """Trains all lanes, as many together as serve best, and scores them.

    The test part has no effect on anything here: who chooses among the lanes must look at `Scores.validation` alone.

    Args:
      config: what the lanes have in common.
    """
    size = choose_lanes_per_call(len(lanes), config, data)
    trainer = LaneTrainer(config, data, size, strengths={
        name: sorted({lane.strengths[name] for lane in lanes}) for name in lanes[0].strengths})
    steps, parts = total_steps(config, data), []
    total = steps * -(-len(lanes) // size)
    for start in range(0, len(lanes), size):
        together = list(lanes[start:start + size])
        padded = together + together[-1:] * (size - len(together))
        on_step = functools.partial(_of_all, job, start // size * steps, total)
        curves = trainer.train(padded, warn=job.console.warning, on_step=on_step)
        parts.append(_scores(config, data, curves, len(together)))
    return Scores(*map(np.concatenate, zip(*parts, strict=True)))


def _of_all(job: Job, before: int, total: int, step: int) -> None:
    job.on_step(before + step, total)


def _scores(config: Config, data: Dataset, curves: LaneCurves, count: int) -> Scores:
    diverged = curves.diverged[:count]
    errors = [1 - of_split["accuracy"][-1][:count] for of_split in (curves.train, curves.validation)]
    assert data.test is not None, "a reproduction has a test part"
    errors.append(np.array([_error(config, data, curves, lane, data.test) for lane in range(count)]))
    return Scores(*(np.where(diverged, np.nan, error) for error in errors))


def _error(config: Config, data: Dataset, curves: LaneCurves, lane: int, examples: Examples) -> float:
    model = make_model(config, data.input_shape, data.classes)
    weights = Weights(*(map_arrays(lambda array: array[lane], arrays)
                        for arrays in (curves.parameters, curves.buffers)))
    x = examples.x.reshape(-1, *data.input_shape).astype(tf.nest.flatten(weights)[0].dtype) / data.divisor
    logits, _ = model.apply(*weights, tf.constant(x), EVALUATION)
    return float(np.mean(logits.numpy().argmax(1) != examples.y))
