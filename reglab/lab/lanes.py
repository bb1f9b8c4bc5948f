"""Many configurations side by side: lanes of one compiled program, on the same batches.

Lanes share data, model, optimizer, batch size, epochs and the order of the data; they may differ in the strengths of
the penalties, learning rate, seed of the initial weights and penalized layers. A lane is exactly the run that
`loop.fit` makes of `Lane.config(shared)`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Final

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
from reglab.lab.lane_blowups import Blowup, LaneWatch
from reglab.run.logs.tags import trained_loss
from reglab.run.plateau import PLATEAU, Decay

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


@dataclasses.dataclass(frozen=True, repr=False)
class LaneCurves:
    """The values of a set of lanes at each evaluation.

    Attributes:
      epochs: [evaluations] the epochs done.
      train: maps "data_loss", "accuracy" and, with label smoothing, "smoothed_data_loss" to [evaluations, lanes] over
        the whole training split.
      validation: the same over the validation split.
      weights: maps TensorBoard tags to [evaluations, lanes]: penalties, norms, sparsity.
      parameters: the final weights, by layer and name, with a leading lane axis.
      blowups: the lanes with steps that are not finite.
      buffers: the buffers that belong to the parameters.
      kernel_entries: the number of entries of all kernels of a lane.
    """

    epochs: np.ndarray
    train: dict[str, np.ndarray]
    validation: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    parameters: dict[str, dict[str, np.ndarray]]
    blowups: tuple[Blowup, ...] = ()
    buffers: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    kernel_entries: int = 0

    def __repr__(self) -> str:
        evaluations, lanes = self.train["data_loss"].shape
        return f"<LaneCurves of {lanes:,} lanes at {evaluations:,} evaluations>"

    @property
    def diverged(self) -> np.ndarray:
        """[lanes] whether the final data loss of a lane is not finite."""
        return ~np.isfinite(self.train["data_loss"][-1])


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

    Raises:
      ConfigError: the devices asked for do not exist, the batch is larger than the training data, the lanes do not fit
        in memory, a `penalize` matches no layer, or `on_nonfinite` is restore.
    """

    def __init__(self, shared: Config, dataset: Dataset, count: int, penalize: Sequence[str] = ("all",),
                 strengths: Mapping[str, Sequence[Strength]] | None = None) -> None:
        check_batch_size(shared, dataset)
        if shared.on_nonfinite == "restore":
            raise ConfigError("--on_nonfinite=restore goes back to checkpoints, and lanes have none: give skip or stop")
        if shared.patience is not None:
            raise ConfigError(f"--patience={shared.patience}: lanes cannot stop early yet: leave it out")
        self.placement = place_lanes(shared)
        check_memory(shared, input_shape=dataset.input_shape, classes=dataset.classes, lanes=count)
        self._shared, self._dataset, self._count = shared, dataset, count
        step = make_step(shared, dataset)
        self._step = dataclasses.replace(step, terms=make_terms(step.model, penalize, strengths, shared))
        self._groups: LaneGroups | None = None
        self._pace = Pace()
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
        self._order_by(self._shared.resolved_data_seed if order_seed is None else order_seed)
        groups = self._restart(lanes, weights)
        watch = LaneWatch([_name(lane) for lane in lanes], self._step.skip_nonfinite, warn)
        decays = [Decay(self._shared) for _ in lanes]
        epochs, evaluations = [], []
        for epoch in range(self._shared.epochs):
            self._run_epoch(groups, epoch, on_step, watch)
            if epoch + 1 == self._shared.epochs or (epoch + 1) % self._shared.evaluate_every == 0:
                epochs.append(epoch + 1)
                evaluations.append(groups.joined(_evaluate))
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
                          sum(self._step.model.kernel_sizes.values()))

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
            weights = stack_lanes([self._step.model.initialize(lane.seed) for lane in lanes])
        else:
            weights = map_arrays(lambda array: tf.constant(array, parameter_dtype(self._shared)), weights)
        hyper = stack_lanes([self._hyperparameters(lane) for lane in lanes])
        if self._groups is None:
            self._groups = make_lanes(self._shared, self._step, weights, hyper,
                                      self._source, self.placement)
            self._groups.prepare()
        else:
            self._groups.restart(weights, hyper)
        return self._groups

    def _hyperparameters(self, lane: Lane) -> Hyperparameters:
        return make_hyperparameters(lane.config(self._shared), self._step)


def _evaluate(training: Training) -> tuple[dict[str, np.ndarray], ...]:
    """Evaluates both splits, and measures the weights."""
    return training.evaluate("train"), training.evaluate("validation"), training.measure_weights()


def _name(lane: Lane) -> str:
    strengths = ", ".join(f"{name} = {in_words(strength)}" for name, strength in lane.strengths.told.items())
    return f"{strengths}, learning rate {lane.learning_rate:g}, seed {lane.seed}"
