"""`compare`: trains the arms of a comparison as lanes and puts what they come to side by side."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from reglab.compare.arms import Arm, arms_of, check_seeds, measure
from reglab.config import Config
from reglab.config.selection import make_model
from reglab.config.strengths import in_words
from reglab.console import Console
from reglab.core.penalties.by_name import as_dict
from reglab.core.terms import SPARSITY_THRESHOLD
from reglab.data import Dataset
from reglab.engine import environment
from reglab.engine.assembly import arrays_of, total_steps
from reglab.engine.placement import LanePlacement
from reglab.engine.startup import start_devices
from reglab.lab.intervals import CONFIDENCE, mean_and_half_width
from reglab.lab.lanes import Lane, LaneCurves, LaneTrainer
from reglab.run.loop import Interrupted
from reglab.signals.stop import StopRequest, stop_request
from reglab.storage.json_values import for_json

SEEDS: Final = 5


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a comparison gave.

    Attributes:
      shared: what all lanes have in common.
      arms: what was compared, the unpenalized arm first.
      lanes: the lanes, arm by arm; `curves` has their axis.
      curves: the lanes' curves.
      steps_per_epoch: updates an epoch.
      result: the contents of `compare.json`.
    """

    shared: Config
    arms: tuple[Arm, ...]
    lanes: list[Lane]
    curves: LaneCurves
    steps_per_epoch: int
    result: dict[str, Any]

    @property
    def diverged(self) -> bool:
        """Whether any lane did."""
        return bool(self.curves.diverged.any())


def compare(config: Config, seeds: int = SEEDS, data: Dataset | None = None, *,
            console: Console | None = None) -> Comparison:
    """Trains no penalty, each alone and all together, each from `seeds` seeds, in one program on the same batches.

    Data, their order and the initial weights of a seed are the same in all arms, so differences are paired.

    Args:
      config: with the penalties of the last arm; its seed is the first of the seeds, and that of the data.
      data: the data to use instead of `config.dataset`.
      console: who is told of the progress; nobody if not given.

    Raises:
      ConfigError: something in the configuration cannot be used, or there is no penalty.
      Interrupted: SIGINT or SIGTERM came.
    """
    check_seeds(seeds, config.seed)
    console = console or Console()
    arms = arms_of(config)
    start_devices(config.compile_cache, console.warning)
    lanes = lanes_of(arms, config, seeds)
    dataset = arrays_of(config, data)
    trainer = LaneTrainer(config, dataset, len(lanes), [config.penalize],
                          {name: (0.0, strength) for name, strength in config.strengths.items()})
    steps_per_epoch = total_steps(config, dataset) // config.epochs
    console.header(_describe(config, dataset, arms, seeds, trainer.placement))
    began = time.perf_counter()
    with stop_request() as stop:
        try:
            console.start(0, total_steps(config, dataset), config.epochs)
            curves = trainer.train(lanes, on_step=_follow(console, stop, steps_per_epoch),
                                   warn=console.warning)
        finally:
            console.finish()
    result = {"config": config.to_dict(), "dataset": dataset.description, "seconds": time.perf_counter() - began,
              "steps_per_epoch": steps_per_epoch, "sparsity_threshold": SPARSITY_THRESHOLD,
              "device": environment.device_name(), "versions": environment.versions(),
              "nonfinite": [{**as_dict(lanes[blowup.lane]), "step": blowup.step,
                             "left_out": blowup.left_out} for blowup in curves.blowups],
              **tabulate([arm.described(config) for arm in arms], [lane.seed for lane in lanes[:seeds]], curves.epochs,
                         measure(curves))}
    return Comparison(config, arms, lanes, curves, steps_per_epoch, result)


def lanes_of(arms: tuple[Arm, ...], config: Config, seeds: int) -> list[Lane]:
    """The lanes, arm by arm, each over the seeds from `config.seed` on."""
    return [Lane(arm.strengths, config.learning_rate, config.seed + i, config.penalize)
            for arm in arms for i in range(seeds)]


def tabulate(arms: Sequence[Mapping[str, Any]], seeds: list[int], epochs: np.ndarray,
             measured: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The arms of `compare.json`: intervals over seeds, differences to the first arm paired by seed.

    Args:
      arms: each as `Arm.described`.
      measured: name to [evaluations, lanes], lanes arm by arm.
    """
    values = {name: numbers.reshape(len(epochs), len(arms), len(seeds)) for name, numbers in measured.items()}
    entries = []
    for at, arm in enumerate(arms):
        final = {name: numbers[-1, at] for name, numbers in values.items()}
        entries.append({
            **arm, "diverged": int((~np.isfinite(final["train_data_loss"])).sum()),
            "final": {name: {**_interval(numbers), "values": for_json(numbers)} for name, numbers in final.items()},
            "difference": {name: _interval(numbers - values[name][-1, 0]) for name, numbers in final.items()}
            if at else None,
            "curves": {name: _interval(numbers[:, at]) for name, numbers in values.items()}})
    return {"seeds": seeds, "confidence": CONFIDENCE, "epochs": epochs.tolist(), "arms": entries}


def _interval(values: np.ndarray) -> dict[str, Any]:
    with np.errstate(invalid="ignore"):
        mean, half_width = mean_and_half_width(values)
        interval: dict[str, Any] = for_json({"mean": mean, "low": mean - half_width, "high": mean + half_width})
    return interval


def _follow(console: Console, stop: StopRequest, steps_per_epoch: int) -> Callable[[int], None]:
    def on_step(step: int) -> None:
        if stop.signal is not None:
            raise Interrupted(stop.signal.name, step, saved=False)
        console.progress(step, 1 + (step - 1) // steps_per_epoch, {})
    return on_step


def _describe(config: Config, dataset: Dataset, arms: tuple[Arm, ...], seeds: int,
              placement: LanePlacement) -> dict[str, str]:
    noise = f", {100 * config.label_noise:g} % of the training labels changed" if config.label_noise else ""
    return {
        "Data": dataset.description + noise,
        "Model": make_model(config, dataset.input_shape, dataset.classes).describe(),
        "Arms": ", ".join(arm.title for arm in arms) + "; " + ", ".join(
            f"{name} = {in_words(strength)}" for name, strength in config.strengths.told.items()),
        "Lanes": f"{len(arms)} arms x {seeds} seeds from {config.seed} on, side by side on the same batches",
        "Training": f"{config.optimizer}, learning rate {config.learning_rate:g}, {config.schedule}, batches of "
                    f"{config.batch_size}, {config.epochs} epochs",
        "Device": f"{environment.device_name()}, {config.precision}{placement.describe()}",
        "Writing to": config.model_dir or "nothing (no model_dir)",
    }
