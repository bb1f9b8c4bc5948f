"""Shows the progress of a sweep to people, and stops it on a signal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from reglab.config import wording
from reglab.config.selection import make_model
from reglab.config.strengths import in_words
from reglab.console import Console
from reglab.console.format import duration, number, percent
from reglab.data import Dataset
from reglab.engine import environment
from reglab.engine.placement import place_lanes
from reglab.inputs import exit_codes
from reglab.lab.seeds import counted
from reglab.run.patience import rule
from reglab.signals.stop import StopRequest
from reglab.sweep.plan import Chunk, Plan
from reglab.sweep.results import join_chunks

MESSAGE_SECONDS: Final = 2.0


class Stopped(exit_codes.Ending, KeyboardInterrupt):
    """A stop signal ended a sweep or path early; what is finished is kept."""

    exit_code = exit_codes.STOPPED

    def __init__(self, signal_name: str, done: int, total: int, what: str, *, in_vain: bool = False) -> None:
        more = f", none of them by this start: give a longer {signal_name} or fewer --lanes_per_call" if in_vain else ""
        super().__init__(f"stopped by {signal_name}, {done} of {total} {what} finished{more}")


def goes_on(folder: object) -> str:
    """Returns what a user can do after `Stopped`."""
    return f"the same command with --model_dir={folder} goes on"


class Progress:
    """Follows the lanes of a sweep. Steps are counted over all lanes together."""

    def __init__(self, plan: Plan, steps_per_epoch: int, console: Console, stop: StopRequest,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._plan, self._steps_per_epoch, self._console, self._stop = plan, steps_per_epoch, console, stop
        self._clock, self._began, self._last_message = clock, clock(), -MESSAGE_SECONDS
        self._lane_steps = steps_per_epoch * plan.shared.epochs
        lanes = len(plan.lanes) * len(plan.fold_numbers)
        self._is_done = np.zeros(lanes, bool)
        self._final = {name: np.full(lanes, np.nan) for name in ("data_loss", "accuracy")}  # On validation data.
        self._chunks_done = 0
        self._trained = 0  # Chunks, by this process.
        self._found = 0  # Lanes that were finished by an earlier process.
        self._losses: dict[str, float] = {}
        console.start(0, self._lane_steps * lanes)

    def on_step(self, lanes: int, step: int) -> None:
        """To be called when `step` steps of a chunk of `lanes` lanes are done.

        Raises:
          Stopped: a stop signal has arrived.
        """
        if step < self._lane_steps:  # The last step is as good as a finished chunk.
            self._check_stop()
        self._console.progress(self._lane_steps * int(self._is_done.sum()) + step * lanes,
                               1 + (step - 1) // self._steps_per_epoch, self._losses)

    def on_lane_steps(self, before: int, lanes: int, steps: int) -> None:
        """To be called when `steps` steps of lanes that may stop early are done or saved.

        Args:
          before: the number of lanes that were finished before these began.
          lanes: the number of these.
          steps: the steps of all of them together.

        Raises:
          Stopped: a stop signal has arrived.
        """
        self._check_stop()
        self._console.progress(self._lane_steps * before + steps, 1 + (steps - 1) // (self._steps_per_epoch * lanes),
                               self._losses)

    def found(self, chunk: Chunk, evaluations: Mapping[str, Any]) -> None:
        """To be called for each chunk that was finished by an earlier process."""
        self._note(chunk, evaluations)
        self._found += len(chunk.lanes)

    def trained(self, chunk: Chunk, evaluations: Mapping[str, Any]) -> None:
        """To be called when a chunk is finished."""
        self._note(chunk, evaluations)
        self._trained += 1
        is_last = bool(self._is_done.all())
        if is_last or self._clock() - self._last_message >= MESSAGE_SECONDS:
            text, self._losses = best_of(self._plan, np.flatnonzero(self._is_done), {
                name: values[self._is_done] for name, values in self._final.items()})
            self._last_message = self._clock()
            left = "" if is_last else f", {duration(self._seconds_left)} left"
            self._console.message(f"{self._counts}, {text}{left}")

    def _note(self, chunk: Chunk, evaluations: Mapping[str, Any]) -> None:
        curves = join_chunks([evaluations])
        places = slice(chunk.first, chunk.first + len(chunk.lanes))
        self._is_done[places] = True
        for name, values in self._final.items():
            values[places] = curves.final(curves.validation[name])
        self._chunks_done += 1

    def _check_stop(self) -> None:
        if self._stop:
            raise Stopped(self._stop.name, self._chunks_done, len(self._plan.chunks), "chunks",
                          in_vain=self._stop.signal is None and self._trained == 0)

    @property
    def _counts(self) -> str:
        plan, lanes = self._plan, len(self._is_done)
        points = int(self._is_done.reshape(len(plan.fold_numbers), -1)[:, plan.places].all((0, 2)).sum())
        return f"{points} of {len(plan.grid.points)} points done ({self._is_done.sum()} of {lanes} lanes)"

    @property
    def _seconds_left(self) -> float:
        done = int(self._is_done.sum())
        return (self._clock() - self._began) * (len(self._is_done) - done) / (done - self._found)


def best_of(plan: Plan, lanes: np.ndarray, validation: Mapping[str, np.ndarray]) -> tuple[str, dict[str, float]]:
    """Returns the best point so far, by the mean over its finished lanes, in words and as values for the console.

    Args:
      lanes: [finished] their numbers, fold by fold.
      validation: maps names to [finished] values.
    """
    # A point counts as diverged if any of its lanes did.
    point_of_lane = np.empty(plan.places.size, np.int64)
    point_of_lane[plan.places] = np.arange(len(plan.grid.points))[:, None]
    points = point_of_lane[lanes % plan.places.size]
    with np.errstate(invalid="ignore"):  # Of points without a finished lane.
        means = {name: np.bincount(points, values) / np.bincount(points) for name, values in validation.items()}
    scores = means["data_loss"] if plan.selection == "data_loss" else np.where(np.isnan(means["data_loss"]), np.nan,
                                                                    -means["accuracy"])
    if np.isnan(scores).all():
        return "every point diverged so far", {}
    at = int(np.nanargmin(scores))
    point, reported = plan.grid.points[at], {name: float(values[at]) for name, values in means.items()}
    strengths = " ".join(f"{name}={in_words(point.strengths[name])}" for name in plan.grid.strengths.told)
    return (f"best so far {strengths}: validation data loss {number(reported['data_loss'])}, "
            f"accuracy {percent(reported['accuracy'])}"), reported


def describe(plan: Plan, dataset: Dataset, path: str) -> dict[str, str]:
    """Describes for people what will be trained; maps labels to texts."""
    config, grid = plan.shared, plan.grid
    strengths = {name: ", ".join(map(in_words, values)) for name, values in grid.strengths.told.items()}
    rates = ", ".join(f"{value:g}" for value in grid.learning_rate)
    folds = "" if plan.folds is None else f" x {plan.folds} folds"
    lanes = len(plan.lanes) * len(plan.fold_numbers)
    noise = f", {config.label_noise:.0%} of the training labels changed" if config.label_noise else ""
    return {
        **wording.name(config),
        "Data": dataset.description + noise,
        **{name.title(): text for name, text in dataset.caution.items()},
        "Model": make_model(config, dataset.input_shape, dataset.classes).describe(),
        **strengths, "Penalized": "; ".join(grid.penalize),
        "Learning rate": f"{rates}, {wording.schedule(config)}, {config.optimizer}",
        **wording.proximal(config),
        **wording.loss_and_average(config),
        "Lanes": f"{len(grid.points)} points x {counted(plan.seeds, 'seed')} from {config.seed} on{folds} = "
                 f"{counted(lanes, 'lane')}, {plan.lanes_per_call} together"
                 + ("" if plan.vary == "weights" else "; each seed has its own order of the data"),
        "Training": f"batches of {config.batch_size}, {config.epochs} epochs",
        **rule(config),
        "Choice": "lowest validation data loss" if plan.selection == "data_loss" else "highest validation accuracy",
        "Device": f"{environment.device_name()}, {config.precision}{place_lanes(config).describe()}",
        **wording.time_limit(config),
        "Writing to": path,
    }
