"""`path`: warm starts along one penalty, and cold starts of the same amount of work as their control.

At each strength the warm starts take as many steps as the objective needs to settle. So the stronger the penalty, the
longer they have been trained, and no two strengths can be compared. Therefore the same lanes are also trained from
their initial weights, each at one strength and for as many steps as the whole path took: this is a sweep, and the
choice is made as in any other. At some point each cold start has taken as many steps as the path had when it
left that strength; there the two are compared.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any, NamedTuple

from reglab.config import Config, ConfigError
from reglab.console import Console, console_for
from reglab.data import Dataset
from reglab.engine.assembly import arrays_of
from reglab.engine.sharing import shared_programs
from reglab.engine.startup import start_devices
from reglab.lab.grid import Grid
from reglab.lab.refused import BY_SWEEP, check_refused
from reglab.signals.stop import stop_request
from reglab.storage.files import writing
from reglab.storage.ownership import owning
from reglab.sweep.capacity import choose_lanes_per_call
from reglab.sweep.chunk_runner import ChunkRunner
from reglab.sweep.files import SweepFolder
from reglab.sweep.findings import in_short
from reglab.sweep.options import check_options, check_path, check_size, check_untested
from reglab.sweep.path_results import path_dict, write_path
from reglab.sweep.plan import Plan, shared_config
from reglab.sweep.progress import Stopped, describe, goes_on
from reglab.sweep.settling import EPOCHS, RULE
from reglab.sweep.warm import Walk
from reglab.sweep.winners import tested_winner, train_winners


class Path(NamedTuple):
    """The outcome of a path: its plan, the contents of `path.json`, and the folder."""

    plan: Plan
    result: dict[str, Any]
    folder: SweepFolder

    def __repr__(self) -> str:
        return in_short("Path", self.result, self.folder.path)


def path(config: Config, grid: Grid, *, seeds: int = 1, selection: str = "data_loss", data: Dataset | None = None,
         progress: bool = False, console: Console | None = None) -> Path:
    """Trains the points of `grid`, in which only one penalty may vary, warm and cold; the arguments are as for `sweep`.

    As in `sweep`, the points chosen among the cold starts are trained once more, alone, and the best of them is finally
    evaluated on the test part. `config.epochs` is the maximum for a warm start at a point.

    Raises:
      ConfigError: something cannot be used, or the folder holds something else.
      Stopped: SIGINT or SIGTERM arrived; finished points and chunks are kept.
      StorageError: the file system refused; the same call continues from what is finished.
    """
    if config.model_dir is None:
        raise ConfigError("a path needs a folder: give model_dir")
    check_refused(config, BY_SWEEP)
    check_options(seeds, None, selection, None)
    check_size(config, grid, seeds, None, seeds)
    check_path(grid, None, None, schedule=config.schedule, patience=config.patience,
               debias_epochs=config.debias_epochs)
    shared = dataclasses.replace(shared_config(config, grid.checked(config)), evaluate_every=1)
    with owning(config.model_dir), writing(config.model_dir, tensorflow=False):
        folder, console = SweepFolder(config.model_dir, config.resume, "path"), console_for(console, progress)
        if folder.plan is not None and "settled" not in folder.plan:
            raise ConfigError(f"--model_dir={folder.path} holds a path of an earlier reglab, which did not compare "
                              "points after equal work: name another folder")
        start_devices(config.compile_cache, console.warning)
        dataset = arrays_of(shared, data)
        check_untested(dataset.validated_on_test)
        lanes_per_call = (folder.plan or {}).get("lanes_per_call") or choose_lanes_per_call(
            grid.size * seeds, shared, dataset)
        return _path(Plan(shared, grid, seeds, None, selection, lanes_per_call), dataset, folder, console)


def _path(plan: Plan, dataset: Dataset, folder: SweepFolder, console: Console) -> Path:
    walk = Walk(plan, dataset, folder, console)
    folder.open({**plan.to_dict(), "settled": RULE}, dataset.digest, has_test=dataset.test is not None)
    about = {**describe(plan, dataset, str(folder.path)), "Training": _training(plan)}
    console.header(about)
    with stop_request() as stop:
        stop.limit_time(plan.shared.time_limit)
        began = time.perf_counter()
        warm = walk.run(stop)
        cold_plan = dataclasses.replace(plan, shared=dataclasses.replace(
            plan.shared, epochs=sum(len(point["epochs"]) for point in warm)))
        console.message(f"Cold starts of {cold_plan.shared.epochs} epochs, as many as the path took ...")
        cold = ChunkRunner(cold_plan, dataset, folder, console).run(stop)
        result = path_dict(plan, cold_plan, warm, cold, walk.steps_per_epoch)
        folder.write_json("timing.json", {"seconds": time.perf_counter() - began})
        done = len(cold)
        with stop.interruptible(lambda name: Stopped(name, done, done, "chunks"), goes_on(folder.path)):
            write_path(folder, cold_plan, cold, result, about)
        with shared_programs():
            winners = train_winners(cold_plan, result, folder, dataset, console, stop)
        result["test"] = tested_winner(winners, folder, dataset)
        folder.write_json("path.json", result)
    folder.check_results()
    return Path(plan, result, folder)


def _training(plan: Plan) -> str:
    return (f"batches of {plan.shared.batch_size}; warm starts: until the objective has settled (in {EPOCHS} epochs it "
            f"fell by no more than {RULE['relative']:.0%} or {RULE['absolute']:g} nats), at most {plan.shared.epochs} "
            "epochs at a strength; then cold starts of as many epochs as the path took")
