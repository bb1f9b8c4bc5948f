"""The trainings that are measured: as they normally run, but without summaries."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from reglab.config import Config
from reglab.core.penalties.by_name import ByPenalty
from reglab.core.step import stack_lanes
from reglab.data import Dataset, check_batch_size
from reglab.engine import assembly
from reglab.engine.lane_groups import LaneGroups
from reglab.engine.placement import place_lanes
from reglab.engine.program import Program
from reglab.engine.replicas import Replicas
from reglab.engine.training import Training

FIRST_STEPS: Final = 3
TakeSteps = Callable[[int, int, int], np.ndarray]
"""Maps (epoch, first, count) to the data losses of the steps taken."""


class Stepper:
    """Takes steps, repeating the same epoch as needed: a `timing.Steps`.

    Args:
      take: takes some steps of an epoch.
      steps_per_epoch: the number of steps in the epoch.

    Attributes:
      first_losses: [FIRST_STEPS] or [FIRST_STEPS, lanes] data losses of the first steps, taken on construction.
      last_loss: the data loss of the latest step, averaged over lanes.
    """

    def __init__(self, take: TakeSteps, steps_per_epoch: int) -> None:
        self._take, self._steps_per_epoch, self._at = take, steps_per_epoch, 0
        self.last_loss = float("nan")
        self.first_losses = np.concatenate([self(1) for _ in range(FIRST_STEPS)])

    def __call__(self, steps: int) -> np.ndarray:
        """Takes the steps; returns the data losses of the last underlying call."""
        losses = np.zeros(0)
        while steps:
            count = min(steps, self._steps_per_epoch - self._at)
            losses = self._take(0, self._at, count)
            self._at = (self._at + count) % self._steps_per_epoch
            steps -= count
        self.last_loss = float(np.mean(losses[-1]))
        return losses

    def loss_difference(self, other: Stepper) -> float:
        """Returns the largest relative difference of the first losses; with lanes, of lane 0."""
        mine, theirs = (s.first_losses.reshape(FIRST_STEPS, -1)[:, 0] for s in (self, other))
        return float(np.max(np.abs(mine - theirs) / np.abs(theirs)))


def of_training(training: Training) -> Stepper:
    """Returns the stepper of a run."""
    return Stepper(lambda *steps: training.run(*steps).data_losses, training.steps_per_epoch)


def of_lanes(groups: LaneGroups) -> Stepper:
    """Returns the stepper of lanes."""
    return Stepper(groups.run, groups.trainings[0].steps_per_epoch)


def make_training(config: Config, dataset: Dataset, replicas: Replicas, *, penalized: bool = True) -> Training:
    """Returns one run; unless `penalized`, its program has no penalty at all, which costs less than one with λ = 0.

    Raises:
      ConfigError: the batch is larger than the training data, or `penalize` matches no layer.
    """
    check_batch_size(config, dataset)
    step, source = assembly.make_step(config, dataset), assembly.source_of(config, dataset)
    if not penalized:
        step = dataclasses.replace(step, terms=())
        config = dataclasses.replace(config, strengths=ByPenalty(0.0, {}))
    program = Program(step, source.layout, summary_every=0, jit=config.jit, replicas=replicas)
    return Training(program, step.model.initialize(config.seed), assembly.make_hyperparameters(config, step), source)


def make_lanes(configs: Sequence[Config], dataset: Dataset) -> LaneGroups:
    """Returns the lanes that train all the configurations side by side."""
    step = assembly.make_step(configs[0], dataset)
    return assembly.make_lanes(
        configs[0], step, stack_lanes([step.model.initialize(config.seed) for config in configs]),
        stack_lanes([assembly.make_hyperparameters(config, step) for config in configs]),
        assembly.source_of(configs[0], dataset), place_lanes(configs[0]))
