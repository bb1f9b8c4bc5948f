"""Trains the chunks of a plan that are not finished: one after the other or, with early stopping, overlapping."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reglab.console import Console
from reglab.data import Dataset
from reglab.engine.assembly import total_steps
from reglab.lab.courses import Course, curves_of
from reglab.lab.lanes import LaneTrainer, Waiting
from reglab.lab.seeds import order_seed
from reglab.signals.stop import StopRequest
from reglab.sweep.files import SweepFolder
from reglab.sweep.folds import fold_dataset, fold_sizes
from reglab.sweep.parts import identity
from reglab.sweep.plan import Chunk, Plan
from reglab.sweep.progress import Progress
from reglab.sweep.results import chunk_dict


class ChunkRunner:
    """Trains the chunks of a plan that are not finished.

    Attributes:
      steps_per_epoch: the number of updates in an epoch.
      timing: how many chunks and lanes were trained; with early stopping also how many steps were taken at all places
        for lanes, whether a lane was left to train there or not.
    """

    def __init__(self, plan: Plan, dataset: Dataset, folder: SweepFolder, console: Console) -> None:
        self._plan, self._dataset, self._folder, self._console = plan, dataset, folder, console
        self.timing: dict[str, Any] = {"chunks_trained": 0, "lanes_trained": 0}
        # Made now, so that anything unusable is reported before anything is written.
        self._fold = plan.chunks[0].fold
        self._current = self._make_data(self._fold)
        self._trainer = self._make_trainer()
        self.steps_per_epoch = total_steps(plan.shared, self._current) // plan.shared.epochs

    def run(self, stop: StopRequest) -> list[dict[str, Any]]:
        """Returns the evaluations of all chunks as read back from their files, so that it does not matter when each was
        trained."""
        progress = Progress(self._plan, self.steps_per_epoch, self._console, stop)
        done: dict[int, dict[str, Any]] = {}
        for chunk in self._plan.chunks:
            found = self._folder.read_part(_name(chunk), self._part(chunk), self._console.warning)
            if found is not None:
                done[chunk.number] = found
                progress.found(chunk, found)
        missing = [chunk for chunk in self._plan.chunks if chunk.number not in done]
        train = self._train_in_turn if self._plan.shared.patience is None else self._train_early
        with _finished(self._console):
            for chunk, evaluations in train(missing, progress):
                done[chunk.number] = self._folder.write_part(_name(chunk), evaluations, self._part(chunk))
                self.timing["chunks_trained"] += 1
                self.timing["lanes_trained"] += len(chunk.lanes)
                progress.trained(chunk, done[chunk.number])
        return [done[chunk.number] for chunk in self._plan.chunks]

    def _train_in_turn(self, chunks: Sequence[Chunk], progress: Progress) -> Iterator[tuple[Chunk, Mapping[str, Any]]]:
        """Trains one chunk after the other, each with as many places as it may have lanes."""
        for chunk in chunks:
            curves = self._trainer_for(chunk.fold).train(
                chunk.padded(self._plan.lanes_per_call), order_seed=self._order(chunk), warn=self._console.warning,
                on_step=functools.partial(progress.on_step, len(chunk.lanes)))
            yield chunk, chunk_dict(curves, len(chunk.lanes))

    def _train_early(self, chunks: Sequence[Chunk], progress: Progress) -> Iterator[tuple[Chunk, Mapping[str, Any]]]:
        """Trains lanes that may stop early: the lanes of the next chunk take the places of those that have ended."""
        before = len(self._plan.lanes) * len(self._plan.fold_numbers) - sum(len(chunk.lanes) for chunk in chunks)
        for _, alike in itertools.groupby(chunks, lambda chunk: self._held_out(chunk.fold)):
            places = [(chunk, place) for chunk in alike for place in range(len(chunk.lanes))]
            trainer, count = self._trainer_for(places[0][0].fold), len(places)
            waiting = [Waiting(chunk.lanes[place], self._order(chunk), chunk.fold) for chunk, place in places]
            ended: dict[int, dict[int, Course]] = {}
            for at, course in trainer.train_waiting(
                    waiting, dataset_of=self._data_of, warn=self._console.warning,
                    on_step=functools.partial(progress.on_lane_steps, before, count)):
                chunk, place = places[at]
                of_chunk = ended.setdefault(chunk.number, {})
                of_chunk[place] = course
                if len(of_chunk) == len(chunk.lanes):
                    courses = ended.pop(chunk.number)
                    curves = curves_of([courses[place] for place in range(len(courses))], trainer.kernel_entries)
                    yield chunk, chunk_dict(curves, len(chunk.lanes))
            before += count
            self.timing["place_steps"] = self.timing.get("place_steps", 0) + trainer.place_steps
            trainer.place_steps = 0

    def _trainer_for(self, fold: int | None) -> LaneTrainer:
        """Returns the trainer for a fold. All folds of one size share a trainer, and so a compilation; there are at
        most two sizes."""
        size = len(self._current.train)
        data = self._data_of(fold)
        if len(data.train) != size:
            self._trainer = self._make_trainer()
        else:
            self._trainer.use_data(data)
        return self._trainer

    def _make_trainer(self) -> LaneTrainer:
        plan = self._plan
        return LaneTrainer(plan.shared, self._current, plan.lanes_per_call, plan.grid.penalize, plan.grid.strengths)

    def _data_of(self, fold: int | None) -> Dataset:
        """Returns the data of a fold; those of the last one asked for are kept."""
        if fold != self._fold:
            self._fold, self._current = fold, self._make_data(fold)
        return self._current

    def _make_data(self, fold: int | None) -> Dataset:
        if fold is None or self._plan.folds is None:
            return self._dataset
        return fold_dataset(self._dataset, self._plan.folds, fold, seed=self._plan.shared.resolved_data_seed)

    def _held_out(self, fold: int | None) -> int:
        """Returns how many examples a fold holds out; 0 without folds."""
        if fold is None or self._plan.folds is None:
            return 0
        return fold_sizes(len(self._dataset.train) + len(self._dataset.validation), self._plan.folds)[fold]

    def _order(self, chunk: Chunk) -> int:
        return order_seed(self._plan.vary, self._plan.shared, chunk.lanes[0].seed)

    def _part(self, chunk: Chunk) -> dict[str, Any]:
        return identity(self._folder.digest, chunk.number, chunk.fold, chunk.lanes,
                        self.steps_per_epoch * self._plan.shared.epochs)


def _name(chunk: Chunk) -> str:
    return f"chunks/chunk-{chunk.number:03}.json"


@contextlib.contextmanager
def _finished(console: Console) -> Iterator[None]:
    try:
        yield
    finally:
        console.finish()
