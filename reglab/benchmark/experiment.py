"""The benchmark as a whole: one section after another, each in separate processes. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Callable
from typing import Any, Final

import numpy as np

import reglab
from reglab import data
from reglab.benchmark.against import compare
from reglab.benchmark.peers.job import Job, make_job
from reglab.benchmark.settings import RACED, Settings
from reglab.benchmark.spread import spread
from reglab.benchmark.task import Task, lane_configs
from reglab.benchmark.whole import whole
from reglab.benchmark.workers import WorkerError, deterministic, measure_apart, scaling
from reglab.config import Config, ConfigError
from reglab.console import Console
from reglab.data import Dataset

MOST_STARTS: Final = 5
FEWEST_RACE_STEPS: Final = 10

Measure = Callable[[Task], dict[str, Any]]


def benchmark(settings: Settings, console: Console | None = None, measure: Measure = measure_apart) -> dict[str, Any]:
    """Measures everything that the settings ask for.

    Args:
      console: shows which section is running.
      measure: measures one section; by default in a separate process.

    Returns:
      JSON values; see README.md for the keys. "failed" maps sections that failed to the reason.

    Raises:
      ConfigError: something cannot be measured as asked.
    """
    dataset = _load(settings)
    session = _Session(settings, dataset, console or Console(), measure)
    session.sections()
    session.growth()
    session.race()
    return session.result


class _Session:
    """One call of `benchmark`. A section that fails is recorded, and the others go on."""

    def __init__(self, settings: Settings, dataset: Dataset, console: Console, measure: Measure) -> None:
        self._settings, self._dataset, self._console, self._measure = settings, dataset, console, measure
        self._step_seconds: float | None = None
        self.result: dict[str, Any] = {
            "version": reglab.__version__, "time": datetime.datetime.now(datetime.timezone.utc).isoformat(),
            "dataset": dataset.description, "config": settings.config.to_dict(), "repeats": settings.repeats,
            "seconds": settings.seconds, "load_average": _load_average(), "failed": {}}

    def sections(self) -> None:
        """Measures the sections named in `--sections`."""
        wanted = self._settings.sections
        if "speed" in wanted:
            self._try("speed", lambda: self.result.update(self._pace_of(self._settings.config)))
        if "start" in wanted:
            self._try("start", self._starts)
        if "penalty" in wanted:
            self._try("penalty", lambda: self.result.update(penalty_cost=self._run("penalty")))
        if "logging" in wanted:
            self._try("logging", lambda: self.result.update(logging_cost=self._run("logging")))
        if "deterministic" in wanted:
            self._try("deterministic", lambda: self.result.update(
                deterministic_cost=deterministic(self._task("deterministic"))))
        if "whole" in wanted:
            self._try("whole", lambda: self.result.update(
                whole=whole(self._settings.config, self._dataset, self._settings.repeats)))

    def growth(self) -> None:
        """Measures how speed grows over devices, widths, batch sizes and lanes."""
        settings, config = self._settings, self._settings.config
        if settings.devices:
            self._try("devices", lambda: self.result.update(
                devices_scaling=scaling(self._task("scaling"), settings.devices)))
        widths = {str(w): dataclasses.replace(config, hidden=(w, max(w // 2, 1))) for w in settings.widths}
        batches = {str(b): dataclasses.replace(config, batch_size=b) for b in settings.batch_sizes}
        for kind, configs in (("widths", widths), ("batch_sizes", batches)):
            for value, each in configs.items():
                self._try(f"{kind} {value}", lambda kind=kind, value=value, each=each:  # type: ignore[misc]
                          self.result.setdefault(kind, {}).update({value: self._run("speed", each)}))
        if settings.lanes:
            self._try("lanes", lambda: self.result.update(lanes=self._run("lanes")))
        if "jax" in settings.against:
            for count in settings.lanes:
                if count > 1:
                    self._try(f"{count} lanes against jax", lambda count=count: self._race_lanes(count))  # type: ignore[misc]

    def race(self) -> None:
        """Races against the other libraries."""
        if self._settings.against:
            self._try("against", self._race)

    def _try(self, name: str, section: Callable[[], object]) -> None:
        self._console.message(f"Measuring {name} ...")
        try:
            section()
        except WorkerError as error:
            self.result["failed"][name] = str(error)
            self._console.warning(str(error))

    def _task(self, section: str, config: Config | None = None, **changes: Any) -> Task:
        task = Task(section, config or self._settings.config, self._settings.seconds, self._settings.repeats,
                    counts=self._settings.lanes)
        return dataclasses.replace(task, **changes)

    def _run(self, section: str, config: Config | None = None) -> dict[str, Any]:
        return self._measure(self._task(section, config))

    def _pace_of(self, config: Config) -> dict[str, Any]:
        found = self._run("speed", config)
        self._step_seconds = found["step_time_us"]["median"] * 1e-6
        return found

    def _starts(self) -> None:
        """Measures several process starts, to get a range."""
        starts = [self._run("start") for _ in range(min(self._settings.repeats, MOST_STARTS))]
        spreads = {name: spread([start[name] for start in starts]) for name in starts[0]}
        renamed = {"peak_memory_bytes": "peak_memory_bytes", "peak_device_memory_bytes": "peak_device_memory_bytes",
                   "compile": "compile_seconds"}
        # These are measured on whole runs, with summaries, and have a range, so they replace those of section speed.
        self.result |= {renamed[name]: each for name, each in spreads.items() if name in renamed}
        self.result["start_seconds"] = {name: each for name, each in spreads.items() if name not in renamed}

    def _race(self) -> None:
        found = compare(self._job([self._settings.config]), self._settings.against, self._settings.repeats)
        self.result["peers"] = found.pop("peers")
        self.result["peers_missing"], self.result["peers_failed"] = found.pop("missing"), found.pop("failed")
        self.result["race"] = found

    def _race_lanes(self, count: int) -> None:
        configs = lane_configs(self._settings.config, count)
        self.result.setdefault("lanes_against", {})[str(count)] = compare(self._job(configs), ["jax"],
                                                                          self._settings.repeats)

    def _job(self, configs: list[Config]) -> Job:
        if self._step_seconds is None:
            brief = self._measure(self._task("speed", seconds=min(self._settings.seconds, 0.2), repeats=1))
            self._step_seconds = brief["step_time_us"]["median"] * 1e-6
        steps = max(FEWEST_RACE_STEPS, round(self._settings.seconds / self._step_seconds / len(configs)))
        l1, l2 = ([float(c.strengths[name]) for c in configs] for name in RACED)
        return make_job(self._dataset, hidden=configs[0].hidden, batch_size=configs[0].batch_size, steps=steps,
                        repeats=self._settings.repeats, l1=l1, l2=l2,
                        learning_rate=[c.learning_rate for c in configs], seed=configs[0].seed)


def _load(settings: Settings) -> Dataset:
    """Loads the data once in the parent, so that problems with them are reported before anything is measured."""
    config = settings.config
    dataset = data.load(config.dataset, data_dir=config.data_dir, train_size=config.train_size,
                        label_noise=config.label_noise, validation_split=config.validation_split,
                        seed=config.resolved_data_seed)
    sizes = {config.batch_size: "batch_size", **dict.fromkeys(settings.batch_sizes, "batch_sizes"),
             **{config.batch_size * n: "devices (weak scaling)" for n in settings.devices}}
    for size, flag in sizes.items():
        if size > len(dataset.train):
            raise ConfigError(f"--{flag}: a batch of {size} is more than the {len(dataset.train):,} training examples "
                              f"of {dataset.name}")
    if settings.against and dataset.train.x.dtype != np.uint8:
        raise ConfigError(f"--against races on images of whole numbers (uint8), and {dataset.name} has none")
    return dataset


def _load_average() -> float | None:
    """The load average of the last minute: measurements on a busy machine are worth little."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
