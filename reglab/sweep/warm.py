"""`path`: the regularization path from weak to strong, each point beginning where the last ended.

The solution changes little from one λ to the next, so a warm start is nearly there already: the pathwise strategy of
Friedman, Hastie and Tibshirani (2010, section 2.5), which there runs from strong to weak, as a lasso's path begins at
zero. A network cannot leave zero, all its gradients vanish there, and an entry that a strong L1 has killed comes back
hard: so here the path runs from weak to strong.

At every λ the same lanes, one a seed, are also trained from their initial weights. Compared are the steps that the two
need to reach the same total: the larger of the two smallest totals, over the whole training split, that they reach.
The total is taken after each epoch, so that steps are whole epochs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import time
from typing import Any, NamedTuple

import numpy as np

from reglab.config import Config, ConfigError
from reglab.console import Console
from reglab.console.format import duration
from reglab.core.parameters import Weights, map_arrays
from reglab.core.step import stack_lanes
from reglab.data import Dataset
from reglab.engine.assembly import arrays_of, make_step, shared_programs, total_steps
from reglab.engine.startup import start_devices
from reglab.lab.grid import Grid
from reglab.lab.lanes import Lane, LaneCurves, LaneTrainer
from reglab.signals.stop import StopRequest, stop_request
from reglab.storage.files import writing
from reglab.storage.ownership import owning
from reglab.storage.reading import Unreadable, read_bytes
from reglab.sweep.files import SweepFolder
from reglab.sweep.options import check_options, check_path, check_size, check_untested
from reglab.sweep.parts import NotThePart, identity
from reglab.sweep.path_results import path_dict, write_path
from reglab.sweep.plan import Plan, lane_of, shared_config
from reglab.sweep.progress import Stopped, describe, goes_on
from reglab.sweep.results import chunk_dict
from reglab.sweep.winners import best_of_cold, tested_winner, train_winners


class Path(NamedTuple):
    """What a path gave: its plan, the contents of `path.json`, and where that is."""

    plan: Plan
    result: dict[str, Any]
    folder: SweepFolder


def path(config: Config, grid: Grid, *, seeds: int = 1, data: Dataset | None = None,
         console: Console | None = None) -> Path:
    """Trains the points of `grid`, in which one penalty alone may vary, warm and cold; arguments are those of `sweep`.

    As there, the best point, of the cold starts, is trained once more, alone, and held against the test part at last.

    Raises:
      ConfigError: something cannot be used, or the folder holds something else.
      Stopped: SIGINT or SIGTERM came; finished points are kept.
      StorageError: the file system refused; the same call goes on with what is finished.
    """
    if config.model_dir is None:
        raise ConfigError("a path needs a folder: give model_dir")
    check_options(seeds, None, "data_loss", None)
    check_size(config, grid, seeds, None, seeds)
    check_path(grid, None, None)
    shared = dataclasses.replace(shared_config(config, grid.checked(config)), evaluate_every=1)
    plan = Plan(shared, grid, seeds, None, "data_loss", seeds)
    with owning(config.model_dir), writing(config.model_dir, tensorflow=False):
        folder, console = SweepFolder(config.model_dir, config.resume, "path"), console or Console()
        start_devices(config.compile_cache, console.warning)
        dataset = arrays_of(shared, data)
        check_untested(dataset.validated_on_test)
        return _path(plan, dataset, folder, console)


def _path(plan: Plan, dataset: Dataset, folder: SweepFolder, console: Console) -> Path:
    runner = _Runner(plan, dataset, folder, console)
    folder.open(plan.to_dict(), dataset.digest, has_test=dataset.test is not None)
    with stop_request() as stop:
        began = time.perf_counter()
        result = path_dict(plan, runner.run(stop), runner.steps_per_epoch)
        folder.write_json("timing.json", {"seconds": time.perf_counter() - began})
        done = len(result["points"])
        with stop.interruptible(lambda name: Stopped(name, done, done, "points"), goes_on(folder.path)):
            write_path(folder, result)
        with shared_programs():
            winners = train_winners(plan, {"best": best_of_cold(result)}, folder, dataset, console, stop)
        result["test"] = tested_winner(winners, folder, dataset)
        folder.write_json("path.json", result)
    folder.check_results()
    return Path(plan, result, folder)


class _Runner:
    """Trains the points that are not finished."""

    def __init__(self, plan: Plan, dataset: Dataset, folder: SweepFolder, console: Console) -> None:
        self._plan, self._folder, self._console = plan, folder, console
        self._description = describe(plan, dataset, str(folder.path))
        self._trainer = LaneTrainer(plan.shared, dataset, plan.seeds, plan.grid.penalize, plan.grid.strengths)
        self._steps = total_steps(plan.shared, dataset)
        self.steps_per_epoch = self._steps // plan.shared.epochs
        model = make_step(plan.shared, dataset).model
        self._start = map_arrays(lambda array: array.numpy(), stack_lanes(
            [model.initialize(plan.shared.seed + i) for i in range(plan.seeds)]))

    def run(self, stop: StopRequest) -> list[dict[str, Any]]:
        """Each point's evaluations, {"cold", "warm"}, as read back from their files."""
        self._console.header(self._description)
        evaluations = self._find()
        found, count = len(evaluations), len(self._plan.grid.points)
        for at in range(count):  # A process that was killed may have left weights that nobody needs any more.
            if at != found - 1 or found == count:
                self._weights(at).unlink(missing_ok=True)
        self._console.start(0, 2 * count * self._steps)
        began = time.monotonic()
        try:
            for at in range(found, count):
                evaluations.append(self._train(at, stop))
                left = (time.monotonic() - began) * (count - at - 1) / (at + 1 - found)
                self._console.message(f"{at + 1} of {count} points done, {duration(left)} left")
        finally:
            self._console.finish()
        return evaluations

    def _find(self) -> list[dict[str, Any]]:
        """The evaluations of the finished points, which are the first: each starts where the one before ended."""
        found: list[dict[str, Any]] = []
        for at in range(len(self._plan.grid.points)):
            self._folder.check_place(self._weights(at).relative_to(self._folder.path).as_posix())
        for at in range(len(self._plan.grid.points)):
            done = self._folder.read_part(_name(at), self._part(at), self._console.warning)
            if done is None:
                break
            found.append(done)
        if 0 < len(found) < len(self._plan.grid.points):
            try:
                self._start = self._load(len(found) - 1, found[-1]["weights"])
            except NotThePart as error:
                self._console.warning(f"{self._weights(len(found) - 1)} {error}: all points are trained again, as each "
                                      "starts where the one before ended")
                return []
        return found

    def _part(self, at: int) -> dict[str, Any]:
        return identity(self._folder.digest, at, None, self._lanes(at), self._steps)

    def _lanes(self, at: int) -> list[Lane]:
        return [lane_of(self._plan.grid.points[at], self._plan.shared.seed + i) for i in range(self._plan.seeds)]

    def _train(self, at: int, stop: StopRequest) -> Any:
        lanes, curves, last = self._lanes(at), {}, 2 * (at + 1) * self._steps
        for half, (which, start) in enumerate((("cold", None), ("warm", self._start))):
            def on_step(step: int, before: int = (2 * at + half) * self._steps) -> None:
                if stop and before + step < last:  # The last step is as good as a finished point.
                    raise Stopped(stop.name, at, len(self._plan.grid.points), "points")
                self._console.progress(before + step, 1 + (step - 1) // self.steps_per_epoch, {})

            curves[which] = self._trainer.train(lanes, weights=start, on_step=on_step,
                                                 warn=self._console.warning)
        self._start = next_start(self._start, curves["warm"])
        evaluations = {which: chunk_dict(curve, len(lanes)) for which, curve in curves.items()}
        is_last = at + 1 == len(self._plan.grid.points)
        weights = None if is_last else self._save(at)
        done = self._folder.write_part(_name(at), {**evaluations, "weights": weights}, self._part(at))
        if at:  # Only the weights of the newest point are needed, and only until all are finished.
            self._weights(at - 1).unlink(missing_ok=True)
        return done

    def _save(self, at: int) -> str:
        """Writes where the next point starts; the digest of the file."""
        content = io.BytesIO()
        np.savez(content, **{f"{layer}/{name}": array for part in self._start for layer, arrays in part.items()
                             for name, array in arrays.items()})
        self._folder.write_bytes(self._weights(at).relative_to(self._folder.path).as_posix(),
                                 lambda file: file.write(content.getvalue()))
        return hashlib.sha256(content.getvalue()).hexdigest()

    def _load(self, at: int, digest: str) -> Weights:
        """Raises:
          NotThePart: the file is not the one with that digest.
        """
        try:
            content = read_bytes(self._weights(at))
        except Unreadable as error:
            raise NotThePart(str(error)) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise NotThePart("is damaged or was changed")
        with np.load(io.BytesIO(content)) as flat:
            return Weights(*({layer: {name: flat[f"{layer}/{name}"] for name in arrays}
                              for layer, arrays in part.items()} for part in self._start))

    def _weights(self, at: int) -> Any:
        return self._folder.path / "chunks" / f"point-{at:03}.npz"


def next_start(start: Weights, curves: LaneCurves) -> Weights:
    """Where the next point starts: each lane where it ended or, if it diverged, where it started."""
    alive = np.all([np.isfinite(array).reshape(len(array), -1).all(1) for arrays in curves.parameters.values()
                    for array in arrays.values()], axis=0)

    def chosen(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        return np.where(alive.reshape(-1, *[1] * (after.ndim - 1)), after, before)

    result: Weights = map_arrays(chosen, start, Weights(curves.parameters, curves.buffers))
    return result


def _name(at: int) -> str:
    return f"chunks/point-{at:03}.json"
