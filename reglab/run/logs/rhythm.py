"""The steps and epochs of which a run writes something, as its configuration has them. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from reglab.config import Config
from reglab.engine.summary_interval import interval_within
from reglab.run.logs.points import SPLITS, Key


class Rhythm(NamedTuple):
    """The steps at which a run writes points.

    Attributes:
      steps_per_epoch: the number of steps in an epoch.
      interval: the number of steps from one measured step to the next; 0 if none is measured.
      is_written: whether an epoch's evaluation is written.
    """

    steps_per_epoch: int
    interval: int
    is_written: Callable[[int], bool]

    @staticmethod
    def of(config: Config, steps_per_epoch: int) -> Rhythm:
        """Returns the rhythm of a run of `config`."""
        return Rhythm(steps_per_epoch, interval_within(config, config.epochs * steps_per_epoch),
                      written_epochs(config))


def written_epochs(config: Config) -> Callable[[int], bool]:
    """Returns whether an epoch's evaluation is written: at most `max_points` are, including the last."""
    last = -(-config.epochs // config.evaluate_every)  # The last is evaluated in any case.
    every = 1 if config.max_points is None else (last - 1) // config.max_points + 1
    return lambda epoch: epoch == config.epochs or epoch // config.evaluate_every % every == 0


def is_evaluated(config: Config, epoch: int) -> bool:
    """Returns whether a run evaluates its splits after an epoch."""
    return epoch == config.epochs or epoch % config.evaluate_every == 0


class Expected(NamedTuple):
    """What a run must have written up to a step: its points, and the steps with histograms."""

    points: frozenset[Key] = frozenset()
    histograms: frozenset[int] = frozenset()

    @staticmethod
    def of(config: Config, rhythm: Rhythm, last_step: int) -> Expected:
        """Returns what a run of `config` must have written up to `last_step`."""
        measured = range(0, last_step, rhythm.interval) if rhythm.interval else range(0)
        evaluated = [epoch * rhythm.steps_per_epoch for epoch in range(1, last_step // rhythm.steps_per_epoch + 1)
                     if is_evaluated(config, epoch) and rhythm.is_written(epoch)]
        return Expected(frozenset([*(Key(step, "measured", "train") for step in measured),
                                   *(Key(step, "evaluation", split) for step in evaluated for split in SPLITS)]),
                        frozenset(evaluated if config.histograms else ()))
