"""`sweep`: trains a grid as lanes, chunk by chunk, chooses among its points and trains the winners as runs."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from reglab.config import Config, ConfigError
from reglab.console import Console, console_for
from reglab.data import Dataset
from reglab.engine.assembly import arrays_of
from reglab.engine.sharing import shared_programs
from reglab.engine.startup import start_devices
from reglab.lab.grid import Grid
from reglab.lab.refused import BY_SWEEP, check_refused
from reglab.lab.seeds import check_vary
from reglab.signals.stop import stop_request
from reglab.storage.files import writing
from reglab.storage.ownership import owning
from reglab.sweep.capacity import choose_lanes_per_call
from reglab.sweep.chunk_runner import ChunkRunner
from reglab.sweep.files import SweepFolder
from reglab.sweep.findings import in_short
from reglab.sweep.folds import fold_sizes
from reglab.sweep.options import check_options, check_size, check_sweep, check_untested
from reglab.sweep.outputs import write_outputs
from reglab.sweep.plan import Plan, shared_config
from reglab.sweep.progress import Stopped, describe, goes_on
from reglab.sweep.results import sweep_dict
from reglab.sweep.winners import tested_winner, train_winners


@dataclasses.dataclass(frozen=True, repr=False)
class Sweep:
    """The outcome of a sweep.

    Attributes:
      plan: what was trained.
      result: the contents of `sweep.json`.
      folder: the folder with all files.
      winners: maps "best" and "one_standard_error" to the `result.json` of the point's run, if there is one.
    """

    plan: Plan
    result: dict[str, Any]
    folder: SweepFolder
    winners: dict[str, dict[str, Any]]

    def __repr__(self) -> str:
        return in_short("Sweep", self.result, self.folder.path)

    @property
    def best(self) -> dict[str, Any] | None:
        """The best point; None if lanes of every point diverged."""
        return None if self.result["best"] is None else self.result["points"][self.result["best"]]

    @property
    def one_standard_error(self) -> dict[str, Any] | None:
        """The point of the strongest penalty within one standard error of the best; None without a standard error."""
        at = self.result["one_standard_error"]
        return None if at is None else self.result["points"][at]


def sweep(config: Config, grid: Grid, *, seeds: int = 1, folds: int | None = None, selection: str = "data_loss",
          lanes_per_call: int | None = None, vary: str = "weights", data: Dataset | None = None,
          progress: bool = False, console: Console | None = None) -> Sweep:
    """Trains every point of `grid` from `seeds` seeds and chooses among the points as described in `choice`.

    Chunks of this sweep that `config.model_dir` already holds are not trained again: if killed at any time, the same
    call ends with the same `sweep.json`. The chosen points are then trained once more, alone, from the first seed, on
    the training part: `winner/` and `winner_1se/` are runs as `reglab.train` leaves them. Finally the winner is
    evaluated on the test part, which was not looked at before.

    Args:
      config: what all lanes have in common; `model_dir` must be given. The grid replaces the fields that it has.
      seeds: the number of lanes of each point, with seeds from `config.seed` on.
      folds: the number of folds of a cross-validation, which holds each fold of the training and validation examples
        out once; by default the data's validation part is used instead.
      selection: "data_loss" for the lowest validation data loss, "accuracy" for the highest validation accuracy.
      lanes_per_call: how many lanes train together; by default chosen by memory and speed.
      vary: "weights", or "order" to give each seed its own order of the data as well.
      data: the data to use instead of `config.dataset`.
      progress: whether to show the progress on standard output, in a notebook as one text that changes in place.
      console: shows the progress instead.

    Raises:
      ConfigError: something cannot be used, or the folder holds something else.
      Stopped: SIGINT or SIGTERM arrived; finished chunks are kept.
      Interrupted: the same, while a winner was trained.
      StorageError: the file system refused; the same call continues from what is finished.
    """
    if config.model_dir is None:
        raise ConfigError("a sweep needs a folder: give model_dir")
    check_refused(config, BY_SWEEP)
    check_options(seeds, folds, selection, lanes_per_call)
    check_size(config, grid, seeds, folds, lanes_per_call)
    check_vary(vary, config, seeds)
    check_sweep(grid)
    console, shared = console_for(console, progress), shared_config(config, grid.checked(config))
    with owning(config.model_dir), writing(config.model_dir, tensorflow=False):
        folder = SweepFolder(config.model_dir, config.resume)
        start_devices(config.compile_cache, console.warning)
        dataset = arrays_of(shared, data)
        check_untested(dataset.validated_on_test)
        if lanes_per_call is None:  # A resumed sweep keeps its choice: free memory may have changed.
            lanes_per_call = (folder.plan or {}).get("lanes_per_call") or choose_lanes_per_call(
                grid.size * (1 if vary == "order" else seeds), shared, dataset)
        plan = Plan(shared, grid, seeds, folds, selection, lanes_per_call, vary)
        return _sweep(plan, dataset, data, folder, console)


def _sweep(plan: Plan, dataset: Dataset, data: Dataset | None, folder: SweepFolder, console: Console) -> Sweep:
    runner = ChunkRunner(plan, dataset, folder, console)
    folder.open(plan.to_dict(), dataset.digest, has_test=dataset.test is not None)
    about = describe(plan, dataset, str(folder.path))
    console.header(about)
    with stop_request() as stop:
        stop.limit_time(plan.shared.time_limit)
        began = time.perf_counter()
        chunks = runner.run(stop)
        result = sweep_dict(plan, chunks, None if plan.folds is None else fold_sizes(
            len(dataset.train) + len(dataset.validation), plan.folds), runner.steps_per_epoch)
        folder.write_json("timing.json", {"seconds": time.perf_counter() - began, **runner.timing})
        done = len(chunks)
        with stop.interruptible(lambda name: Stopped(name, done, done, "chunks"), goes_on(folder.path)):
            write_outputs(folder, plan, chunks, result, runner.steps_per_epoch, about)
        with shared_programs():
            winners = train_winners(plan, result, folder, data, console, stop)
        result |= {"test": tested_winner(winners, folder, dataset), **dataset.caution}
        folder.write_json("sweep.json", result)
    folder.check_results()
    return Sweep(plan, result, folder, winners)


__all__ = ["Stopped", "Sweep", "sweep"]
