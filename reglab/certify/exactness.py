"""Do replicas compute what one device computes? The check behind `python -m reglab.certify replicas`.

Every case is trained twice in this process, on one device and on the replicas, in float64: rounding is 1e-16 there, so
that a penalty counted twice or an example weighted wrongly stands out. Adam amplifies float32 rounding to 1e-3 within a
few hundred steps, so float32 would prove nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

import numpy as np
import tensorflow as tf

from reglab.config import Config
from reglab.data import Dataset
from reglab.engine.assembly import make_training
from reglab.engine.replicas import Replicas
from reglab.engine.training import Training

TOLERANCE: Final = 1e-12
STEPS: Final = 200


@dataclasses.dataclass(frozen=True)
class Finding:
    """How far the replicas were from one device in one case.

    Attributes:
      case: a description of what was trained, for display.
      differences: maps each quantity to the largest |a − b| / max(1, |a|) over all its numbers.
    """

    case: str
    differences: dict[str, float]

    @property
    def largest(self) -> float:
        """The largest of all differences; NaN counts as infinite."""
        return max(value if np.isfinite(value) else np.inf for value in self.differences.values())

    @property
    def exact(self) -> bool:
        """Whether all differences are within rounding, that is, at most `TOLERANCE`."""
        return self.largest <= TOLERANCE


def cases(config: Config, replicas: int) -> Iterator[tuple[str, Config, int]]:
    """Yields name, configuration and number of steps of each case for a given number of replicas.

    A single SGD step at learning rate 1 shows the gradient of the total itself.
    """
    exact = dataclasses.replace(config, precision="float64", model_dir=None, summary_every=7, schedule="constant",
                                warmup_steps=0, weight_decay=None, decay_factor=None, decay_every=None,
                                decay_patience=None, patience=None, min_delta=0.0)
    for optimizer in ("adam", "sgd"):
        chosen = dataclasses.replace(exact, optimizer=optimizer)
        yield f"{optimizer}, batch {chosen.batch_size}, {STEPS} steps", chosen, STEPS
    yield "gradient of the total", dataclasses.replace(exact, optimizer="sgd", learning_rate=1.0, clip_norm=None), 1
    if replicas > 1:
        small = replicas - 1
        yield (f"adam, batch {small} for {replicas} replicas, {STEPS} steps",
               dataclasses.replace(exact, optimizer="adam", batch_size=small), STEPS)


def check_replicas(config: Config, dataset: Dataset, replicas: Replicas) -> Iterator[Finding]:
    """Trains each case on one device and on `replicas`, and yields the differences, case by case."""
    for case, chosen, steps in cases(config, replicas.count):
        alone, together = make_training(chosen, dataset), make_training(chosen, dataset, replicas)
        alone.prepare()  # Compiles while the other one trains.
        several = _train(together, steps)
        single = _train(alone, steps)
        yield Finding(case, {name: _difference(single[name], several[name]) for name in single})


def _train(training: Training, steps: int) -> dict[str, np.ndarray]:
    """Returns the numbers to compare: weights, slots, losses of all steps, reports, and evaluations of both splits."""
    losses, reports, taken = [], [], 0
    while taken < steps:
        epoch, first = divmod(taken, training.steps_per_epoch)
        count = min(steps - taken, training.steps_per_epoch - first)
        calls = training.run(epoch, first, count)
        losses.append(calls.data_losses)
        reports += [np.ravel(values) for values in calls.reports.values()]
        taken += count
    evaluations = [value for split in ("train", "validation") for value in training.evaluate(split).values()]
    return {"weights": _flat((training.state["parameters"], training.state["buffers"])),
            "optimizer": _flat(training.state["slots"]),
            "losses": np.concatenate(losses), "reports": np.concatenate(reports), "evaluations": np.array(evaluations)}


def _flat(structure: object) -> np.ndarray:
    arrays = [np.ravel(variable.numpy()) for variable in tf.nest.flatten(structure)]
    return np.concatenate(arrays) if arrays else np.zeros(0)


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(a - b) / np.maximum(1, np.abs(a)), initial=0))
