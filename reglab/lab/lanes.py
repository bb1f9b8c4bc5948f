"""Many configurations side by side: lanes of one compiled program, on the same batches.

Lanes share data, model, optimizer, batch size, epochs and the order of the data; they may differ in the strengths of
the penalties, learning rate, seed of the initial weights and penalized layers. A lane is exactly the run that
`loop.fit` makes of `Lane.config(shared)`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import tensorflow as tf

from reglab.config import Config, ConfigError
from reglab.config.memory import check_memory
from reglab.config.strengths import Strength, in_words
from reglab.core.parameters import Weights, map_arrays
from reglab.core.penalties.by_name import ByPenalty, by_penalty_name
from reglab.core.step import Hyperparameters, stack_lanes
from reglab.data import Dataset, check_batch_size, steps_per_epoch
from reglab.engine.assembly import make_hyperparameters, make_lanes, make_step, make_terms, parameter_dtype, source_of
from reglab.engine.lane_groups import LaneGroups
from reglab.engine.pace import Pace
from reglab.engine.placement import place_lanes
from reglab.engine.sources.base import Source
from reglab.engine.training import Training
from reglab.lab.courses import Course
from reglab.lab.lane_blowups import LaneWatch
from reglab.lab.lane_curves import LaneCurves
from reglab.lab.lane_pool import LanePool, evaluate_lanes
from reglab.run.logs.tags import trained_loss
from reglab.run.plateau import PLATEAU, Decay

__all__ = ["LANE_FIELDS", "Lane", "LaneCurves", "LaneTrainer", "Waiting"]

LANE_FIELDS: Final = ("learning_rate", "seed", "penalize")
"""The fields that may differ, besides the strengths of the penalties."""


@by_penalty_name
@dataclasses.dataclass(frozen=True)
class Lane:
    """The settings of one lane: fields of `Config`, including the penalties' names."""

    strengths: ByPenalty[Strength] = ByPenalty(0.0, {})
    learning_rate: float = 1e-3
    seed: int = 0
    penalize: str = "all"

    def __post_init__(self) -> None:
        object.__setattr__(self, "strengths", ByPenalty(0.0, self.strengths))

    @staticmethod
    def of(config: Config) -> Lane:
        """Returns the lane of a configuration."""
        return Lane(config.strengths, *(getattr(config, name) for name in LANE_FIELDS))

    def config(self, shared: Config) -> Config:
        """Returns the configuration that trains this lane alone; its data seed is the shared one."""
        return dataclasses.replace(shared, **vars(self), data_seed=shared.resolved_data_seed)


class Waiting(NamedTuple):
    """A lane that waits for a place.

    Attributes:
      order_seed: the data seed that orders its data.
      fold: the fold that is held out of its data; None without cross-validation.
    """

    lane: Lane
    order_seed: int
    fold: int | None = None


class LaneTrainer:
    """Trains sets of lanes, one after another, with one compilation.

    Args:
      shared: what all lanes have in common; its strengths and `LANE_FIELDS` are ignored.
      dataset: the data.
      count: the number of lanes in each set.
      penalize: every `penalize` that a lane may have; the program penalizes the layers of all of them.
      strengths: maps names of penalties to every strength that a lane may have; needed only for other strengths than
        numbers, or other penalties than the standing ones.

    Attributes:
      placement: where the lanes run.
      kernel_entries: the number of entries of all kernels of a lane.
      place_steps: the steps that `train_waiting` took, each counted once for each place, with a lane in it or not.

    Raises:
      ConfigError: the devices asked for do not exist, the batch is larger than the training data, the lanes do not fit
        in memory, a `penalize` matches no layer, or `on_nonfinite` is restore.
    """

    def __init__(self, shared: Config, dataset: Dataset, count: int, penalize: Sequence[str] = ("all",),
                 strengths: Mapping[str, Sequence[Strength]] | None = None) -> None:
        check_batch_size(shared, dataset)
        if shared.on_nonfinite == "restore":
            raise ConfigError("--on_nonfinite=restore goes back to checkpoints, and lanes have none: give skip or stop")
        self.placement = place_lanes(shared)
        check_memory(shared, input_shape=dataset.input_shape, classes=dataset.classes, lanes=count)
        self._shared, self._dataset, self._count = shared, dataset, count
        step = make_step(shared, dataset)
        self._step = dataclasses.replace(step, terms=make_terms(step.model, penalize, strengths, shared))
        self._groups: LaneGroups | None = None
        self._pace = Pace()
        self.kernel_entries = sum(step.model.kernel_sizes.values())
        self.place_steps = 0
        self._order_seed = shared.resolved_data_seed

    def train(self, lanes: Sequence[Lane], *, weights: Weights | None = None, order_seed: int | None = None,
              on_epoch: Callable[[int], None] = lambda epoch: None,
              on_step: Callable[[int], None] = lambda step: None,
              is_over: Callable[[np.ndarray], bool] = lambda totals: False,
              warn: Callable[[str], None] = lambda text: None) -> LaneCurves:
        """Trains `count` lanes for all epochs, or until they are over.

        Args:
          weights: the weights to start from, with a leading lane axis, instead of each seed's initial weights.
          order_seed: the data seed that orders the data; by default the shared one.
          on_epoch: called after each epoch with the number of epochs done; an exception from it ends the training.
          on_step: the same for steps, called about once a second or more often.
          is_over: called after each evaluation with the totals over the training split so far, [evaluations, lanes];
            training ends if it returns True.
          warn: gets a line about each of the first lanes whose steps are not finite.
        """
        assert len(lanes) == self._count, "a set of lanes has the size the trainer was made for"
        assert self._shared.patience is None, "lanes that may stop early are trained by `train_waiting`"
        self._order_by(self._shared.resolved_data_seed if order_seed is None else order_seed)
        groups = self._restart(lanes, weights)
        watch = LaneWatch([_name(lane) for lane in lanes], self._step.skip_nonfinite, warn)
        decays = [Decay(self._shared) for _ in lanes]
        epochs, evaluations = [], []
        for epoch in range(self._shared.epochs):
            self._run_epoch(groups, epoch, on_step, watch)
            if epoch + 1 == self._shared.epochs or (epoch + 1) % self._shared.evaluate_every == 0:
                epochs.append(epoch + 1)
                evaluations.append(groups.joined(evaluate_lanes))
                if self._shared.schedule == PLATEAU:
                    self._lower_rates(groups, lanes, decays, evaluations[-1][1]["data_loss"])
            on_epoch(epoch + 1)
            if evaluations and is_over(np.stack([trained_loss(train) + of_weights["penalty/total"]
                                                 for train, _, of_weights in evaluations])):
                break
        train, validation, of_weights = ({name: np.stack([split[name] for split in splits]) for name in splits[0]}
                                      for splits in zip(*evaluations, strict=True))
        parameters, buffers = groups.joined(Training.weights, axis=0)
        return LaneCurves(np.array(epochs), train, validation, of_weights, parameters, watch.blowups, buffers,
                          self.kernel_entries)

    def train_waiting(self, waiting: Sequence[Waiting], *, dataset_of: Callable[[int | None], Dataset] | None = None,
                      on_step: Callable[[int], object] = lambda step: None,
                      warn: Callable[[str], None] = lambda text: None) -> Iterator[tuple[int, Course]]:
        """Trains any number of lanes, of which `count` have a place at a time, with early stopping.

        Args:
          waiting: the lanes, in the order in which they start.
          dataset_of: maps the fold of a lane to its data; by default all have those of the trainer.
          on_step: called with the steps of all lanes together, see `LanePool.train`.
          warn: gets a line about each of the first lanes whose steps are not finite.

        Yields:
          The place of a lane in `waiting` and its course, as soon as it has ended.
        """
        def source_of_key(key: tuple[int, int | None]) -> Source:
            order_seed, fold = key
            return source_of(dataclasses.replace(self._shared, data_seed=order_seed),
                             self._dataset if dataset_of is None else dataset_of(fold))

        def start(numbers: Sequence[int]) -> tuple[Weights, Hyperparameters]:
            lanes = [waiting[number].lane for number in numbers]
            return self._weights(lanes), self._hyperparameters(lanes)

        filled = [one.lane for one in waiting][:self._count]
        groups = self._restart([*filled, *filled[-1:] * (self._count - len(filled))], None)
        pool = LanePool(self._shared, groups, start, source_of_key)
        courses = {at: Course(self._shared, one.lane.learning_rate) for at, one in enumerate(waiting)}
        watch = LaneWatch([_name(one.lane) for one in waiting], self._step.skip_nonfinite, warn)
        try:
            yield from pool.train([(one.order_seed, one.fold) for one in waiting], courses, watch, on_step)
        finally:
            self.place_steps += pool.place_steps

    def use_data(self, dataset: Dataset) -> None:
        """Changes the data to others with splits of the same sizes; nothing is compiled anew."""
        if dataset is not self._dataset:
            self._dataset = dataset
            if self._groups is not None:
                self._groups.use_data(self._source)

    def _order_by(self, seed: int) -> None:
        if seed != self._order_seed:
            self._order_seed = seed
            if self._groups is not None:
                self._groups.use_data(self._source)

    @property
    def _source(self) -> Source:
        return source_of(dataclasses.replace(self._shared, data_seed=self._order_seed), self._dataset)

    def _run_epoch(self, groups: LaneGroups, epoch: int, on_step: Callable[[int], None], watch: LaneWatch) -> None:
        steps, first = steps_per_epoch(len(self._dataset.train), self._shared.batch_size), 0
        while first < steps:
            count = min(self._pace.affordable_steps, steps - first)
            watch.before_call(groups.trainings)
            with self._pace.measure(count):
                data_losses = groups.run(epoch, first, count)
            watch.after_call(groups.trainings, data_losses)
            first += count
            on_step(epoch * steps + first)

    def _lower_rates(self, groups: LaneGroups, lanes: Sequence[Lane], decays: Sequence[Decay],
                     data_losses: np.ndarray) -> None:
        """Counts an evaluation of every lane, given the [lanes] data losses of the validation split."""
        for decay, data_loss in zip(decays, data_losses.tolist(), strict=True):
            decay.note(data_loss)
        groups.use_learning_rates(np.array([decay.rate(lane.learning_rate)
                                            for decay, lane in zip(decays, lanes, strict=True)]))

    def _restart(self, lanes: Sequence[Lane], weights: Weights | None) -> LaneGroups:
        if weights is None:
            weights = self._weights(lanes)
        else:
            weights = map_arrays(lambda array: tf.constant(array, parameter_dtype(self._shared)), weights)
        hyper = self._hyperparameters(lanes)
        if self._groups is None:
            self._groups = make_lanes(self._shared, self._step, weights, hyper,
                                      self._source, self.placement)
            self._groups.prepare()
        else:
            self._groups.restart(weights, hyper)
        return self._groups

    def _weights(self, lanes: Sequence[Lane]) -> Weights:
        weights: Weights = stack_lanes([self._step.model.initialize(lane.seed) for lane in lanes])
        return weights

    def _hyperparameters(self, lanes: Sequence[Lane]) -> Hyperparameters:
        hyper: Hyperparameters = stack_lanes([make_hyperparameters(lane.config(self._shared), self._step)
                                              for lane in lanes])
        return hyper


def _name(lane: Lane) -> str:
    strengths = ", ".join(f"{name} = {in_words(strength)}" for name, strength in lane.strengths.told.items())
    return f"{strengths}, learning rate {lane.learning_rate:g}, seed {lane.seed}"
