"""What writing summaries and checkpoints costs a whole run: epochs of `fit` with and without them."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import tempfile
import time
from collections.abc import Mapping
from typing import Any, Final

from reglab.benchmark.spread import ratios, spread
from reglab.benchmark.task import Task
from reglab.config import Config
from reglab.console import Console
from reglab.data import Dataset, steps_per_epoch
from reglab.engine.sharing import shared_programs
from reglab.run.loop import fit

WARM_EPOCHS: Final = 2  # Not timed: they include compilation and the first checkpoint.
MOST_EPOCHS: Final = 300
_NEVER: Final = 10**9  # Steps between checkpoints, so that there is none until the end, which is not timed.


def logging(config: Config, dataset: Dataset, task: Task) -> dict[str, Any]:
    """Seconds per epoch, without evaluation: bare, with summaries, with a checkpoint per epoch, and with both.

    Summaries are written every `config.summary_every` steps. The time runs from the end of the second epoch's steps to
    the end of the last epoch's, and so includes as many saves as epochs. The variants take turns.
    """
    # Even under srun or TF_CONFIG, this process trains alone.
    alone = dataclasses.replace(config, strategy="one_device" if config.num_devices in (None, 1) else "mirrored",
                                epochs=WARM_EPOCHS + 3)
    with shared_programs():  # Each is traced and compiled once, whatever the repeats.
        return _compared(alone, dataset, task)


def _compared(alone: Config, dataset: Dataset, task: Task) -> dict[str, Any]:
    epoch_seconds = _epoch_seconds(_variant(alone, None, False, False), dataset)
    epochs = WARM_EPOCHS + min(max(math.ceil(task.seconds / epoch_seconds), 1), MOST_EPOCHS)
    alone = dataclasses.replace(alone, epochs=epochs)
    variants = {"bare": (False, False), "summaries": (True, False), "checkpoints": (False, True), "both": (True, True)}
    times: dict[str, list[float]] = {name: [] for name in variants}
    for k in range(task.repeats):
        for name in reversed(list(variants)) if k % 2 else list(variants):
            with tempfile.TemporaryDirectory(prefix="reglab-benchmark-") as folder:
                times[name].append(_epoch_seconds(_variant(alone, folder, *variants[name]), dataset))
    steps = steps_per_epoch(len(dataset.train), alone.batch_size)
    return {"summary_every": alone.summary_every, "steps_per_epoch": steps, "epochs": epochs - WARM_EPOCHS,
            **{name: {"ratio": ratios(seconds, times["bare"]), "epoch_seconds": spread(seconds)}
               for name, seconds in times.items()}}


def _variant(config: Config, folder: str | None, summaries: bool, checkpoints: bool) -> Config:
    return dataclasses.replace(
        config, model_dir=str(pathlib.Path(folder) / "run") if folder and (summaries or checkpoints) else None,
        summary_every=config.summary_every if summaries else 0, evaluate_every=config.epochs,
        checkpoint_every=None if checkpoints else _NEVER)


def _epoch_seconds(config: Config, dataset: Dataset) -> float:
    clock = _Clock(steps_per_epoch(len(dataset.train), config.batch_size))
    fit(config, dataset, console=clock)
    return (clock.ends[config.epochs] - clock.ends[WARM_EPOCHS]) / (config.epochs - WARM_EPOCHS)


class _Clock(Console):
    """Records when the steps of each epoch are done.

    Attributes:
      ends: maps each epoch, counted from 1, to the time.
    """

    def __init__(self, steps_per_epoch: int) -> None:
        self._steps_per_epoch = steps_per_epoch
        self.ends: dict[int, float] = {}

    def progress(self, step: int, epoch: int, losses: Mapping[str, float]) -> None:
        """Records the time if these are the last steps of an epoch."""
        if step == epoch * self._steps_per_epoch:
            self.ends[epoch] = time.perf_counter()
