"""The warm half of a path: each strength, from weak to strong, starts from the weights with which the last one ended.

The solution changes little from one λ to the next, so a warm start is already close to it. This is the pathwise
strategy of Friedman, Hastie and Tibshirani (2010, section 2.5), where it runs from strong to weak, since a lasso's path
begins at zero. A network cannot leave zero, where all its gradients vanish, and an entry that a strong L1 has set to
zero hardly recovers, so here the path runs from weak to strong. It stays at a strength until the objective has settled.
"""

from __future__ import annotations

import hashlib
import io
import time
from typing import Any

import numpy as np

from reglab.console import Console
from reglab.console.format import duration
from reglab.core.parameters import Weights, map_arrays
from reglab.core.step import stack_lanes
from reglab.data import Dataset
from reglab.engine.assembly import make_step, total_steps
from reglab.lab.lanes import Lane, LaneCurves, LaneTrainer
from reglab.signals.stop import StopRequest
from reglab.storage.reading import Unreadable, read_bytes
from reglab.sweep.files import SweepFolder
from reglab.sweep.parts import NotThePart, identity
from reglab.sweep.plan import Plan, lane_of
from reglab.sweep.progress import Stopped
from reglab.sweep.results import chunk_dict
from reglab.sweep.settling import is_over


class Walk:
    """Trains the points that are not finished one after another, with the seeds of each side by side.

    Attributes:
      steps_per_epoch: the number of updates in an epoch.
    """

    def __init__(self, plan: Plan, dataset: Dataset, folder: SweepFolder, console: Console) -> None:
        self._plan, self._folder, self._console = plan, folder, console
        self._trainer = LaneTrainer(plan.shared, dataset, plan.seeds, plan.grid.penalize, plan.grid.strengths)
        self._steps = total_steps(plan.shared, dataset)  # The maximum at a point.
        self.steps_per_epoch = self._steps // plan.shared.epochs
        model = make_step(plan.shared, dataset).model
        self._start = map_arrays(lambda array: array.numpy(), stack_lanes(
            [model.initialize(plan.shared.seed + i) for i in range(plan.seeds)]))

    def run(self, stop: StopRequest) -> list[dict[str, Any]]:
        """Returns the evaluations of each point, one per epoch, as read back from their files."""
        evaluations = self._find()
        found, count = len(evaluations), len(self._plan.grid.points)
        for at in range(count):  # A killed process may have left weights that are no longer needed.
            if at != found - 1 or found == count:
                self._weights(at).unlink(missing_ok=True)
        self._console.start(0, count * self._steps)
        began = time.monotonic()
        try:
            for at in range(found, count):
                evaluations.append(self._train(at, stop))
                left = (time.monotonic() - began) * (count - at - 1) / (at + 1 - found)
                self._console.message(f"{at + 1} of {count} warm starts done, this one in "
                                      f"{len(evaluations[-1]['epochs'])} epochs, {duration(left)} left")
        finally:
            self._console.finish()
        return evaluations

    def _find(self) -> list[dict[str, Any]]:
        """Returns the evaluations of the finished points, which come first: each starts where the last one ended."""
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
                self._start = self._load(len(found) - 1, found[-1]["ended_with"])
            except NotThePart as error:
                self._console.warning(f"{self._weights(len(found) - 1)} {error}: all points are trained again, as each "
                                      "starts where the one before ended")
                return []
        return found

    def _part(self, at: int) -> dict[str, Any]:
        return identity(self._folder.digest, at, None, self._lanes(at), self._steps)

    def _lanes(self, at: int) -> list[Lane]:
        return [lane_of(self._plan.grid.points[at], self._plan.shared.seed + i) for i in range(self._plan.seeds)]

    def _train(self, at: int, stop: StopRequest) -> dict[str, Any]:
        def on_step(step: int) -> None:
            if stop:
                raise Stopped(stop.name, at, len(self._plan.grid.points), "warm starts")
            self._console.progress(at * self._steps + step, 1 + (step - 1) // self.steps_per_epoch, {})

        lanes = self._lanes(at)
        curves = self._trainer.train(lanes, weights=self._start, on_step=on_step, is_over=is_over,
                                     warn=self._console.warning)
        self._start = next_start(self._start, curves)
        is_last = at + 1 == len(self._plan.grid.points)
        weights = None if is_last else self._save(at)
        done = self._folder.write_part(_name(at), {**chunk_dict(curves, len(lanes)), "ended_with": weights},
                                       self._part(at))
        if at:  # Only the weights of the newest point are needed, and only until all are finished.
            self._weights(at - 1).unlink(missing_ok=True)
        return done

    def _save(self, at: int) -> str:
        """Writes the weights from which the next point starts; returns the digest of the file."""
        content = io.BytesIO()
        np.savez(content, **{f"{layer}/{name}": array for part in self._start for layer, arrays in part.items()
                             for name, array in arrays.items()})
        self._folder.write_bytes(self._weights(at).relative_to(self._folder.path).as_posix(),
                                 lambda file: file.write(content.getvalue()))
        return hashlib.sha256(content.getvalue()).hexdigest()

    def _load(self, at: int, digest: str) -> Weights:
        """Reads the weights with which a point ended.

        Raises:
          NotThePart: the file cannot be read or does not have that digest.
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
    """Returns the weights from which the next point starts: each lane's last ones or, if it diverged, its first."""
    alive = np.all([np.isfinite(array).reshape(len(array), -1).all(1) for arrays in curves.parameters.values()
                    for array in arrays.values()], axis=0)

    def chosen(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        return np.where(alive.reshape(-1, *[1] * (after.ndim - 1)), after, before)

    result: Weights = map_arrays(chosen, start, Weights(curves.parameters, curves.buffers))
    return result


def _name(at: int) -> str:
    return f"chunks/point-{at:03}.json"
