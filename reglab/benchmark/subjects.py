"""The programs that are measured, as they are trained otherwise, but without summaries."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from reglab.config import Config
from reglab.core.penalties.by_name import ByPenalty
from reglab.core.step import stack_lanes
from reglab.data import Dataset, check_batch_size, epoch_order
from reglab.engine.assembly import make_hyperparameters, make_lane_program, make_step
from reglab.engine.lane_program import LaneProgram
from reglab.engine.program import Program
from reglab.engine.replicas import Replicas

FIRST_STEPS: Final = 3


class Stepper:
    """Takes steps of a program, over the same epoch again and again: `timing.Steps`.

    Attributes:
      program: the program.
      first_losses: [FIRST_STEPS] or [FIRST_STEPS, lanes] data losses of the first steps, taken at once.
      last_loss: the data loss of the last step so far, the mean over lanes.
    """

    def __init__(self, program: Program | LaneProgram, dataset: Dataset) -> None:
        self.program = program
        self._order = epoch_order(0, 0, len(dataset.train))
        self._at = 0
        self.last_loss = float("nan")
        self.first_losses = np.concatenate([self(1) for _ in range(FIRST_STEPS)])

    def __call__(self, steps: int) -> np.ndarray:
        """Takes them, and gives the data losses of the last call's."""
        losses = np.zeros(0)
        while steps:
            count = min(steps, self.program.steps_per_epoch - self._at)
            losses = self.program.run(self._order, self._at, count).data_losses
            self._at = (self._at + count) % self.program.steps_per_epoch
            steps -= count
        self.last_loss = float(np.mean(losses[-1]))
        return losses

    def loss_difference(self, other: Stepper) -> float:
        """The largest relative difference of the first losses, of lane 0 where there are lanes."""
        mine, theirs = (s.first_losses.reshape(FIRST_STEPS, -1)[:, 0] for s in (self, other))
        return float(np.max(np.abs(mine - theirs) / np.abs(theirs)))


def make_program(config: Config, dataset: Dataset, replicas: Replicas, *, penalized: bool = True) -> Program:
    """The program of one run; with no penalty in it at all unless `penalized`, which is less than λ = 0.

    Raises:
      ConfigError: the batch is larger than the training data, or `penalize` matches no layer.
    """
    check_batch_size(config, dataset)
    step = make_step(config, dataset)
    if not penalized:
        step = dataclasses.replace(step, terms=())
        config = dataclasses.replace(config, strengths=ByPenalty(0.0, {}))
    return Program(step, step.model.initialize(config.seed), make_hyperparameters(config, step), dataset,
                   batch_size=config.batch_size, summary_every=0, jit=config.jit, replicas=replicas)


def make_lanes(configs: Sequence[Config], dataset: Dataset) -> LaneProgram:
    """The program that trains them all side by side, on one device."""
    step = make_step(configs[0], dataset)
    return make_lane_program(configs[0], step, stack_lanes([step.model.initialize(config.seed) for config in configs]),
                             stack_lanes([make_hyperparameters(config, step) for config in configs]), dataset)
