"""The plan of a sweep: its lanes, and how they are divided into chunks. No TensorFlow here except for `Lane`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from reglab.config import HANDLING_FIELDS, Config
from reglab.lab.grid import Grid, Point
from reglab.lab.lanes import LANE_FIELDS, Lane
from reglab.lab.seeds import check_vary
from reglab.sweep.options import check_options, check_size


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Lanes that train together.

    Attributes:
      number: its place in the sweep.
      fold: the fold that is held out; None without cross-validation.
      lanes: its lanes; the last chunk of a fold may have fewer than `Plan.lanes_per_call`.
      first: the place of its first lane among those of all folds.
    """

    number: int
    fold: int | None
    lanes: tuple[Lane, ...]
    first: int

    def padded(self, size: int) -> list[Lane]:
        """Returns exactly `size` lanes, repeating the last one, since a compilation serves one size only."""
        return [*self.lanes, *self.lanes[-1:] * (size - len(self.lanes))]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep.

    Attributes:
      shared: what all lanes have in common; its seed is the first one.
      grid: what differs between points.
      seeds: how many seeds each point has.
      folds: the number of folds of a cross-validation, or None for the data's own validation part.
      selection: the criterion of the choice on the validation part: "data_loss" (lowest) or "accuracy" (highest).
      lanes_per_call: how many lanes train together.
      vary: what differs from seed to seed: "weights", or "order" for the order of the data too.

    Raises:
      ConfigError: a number is out of range.
    """

    shared: Config
    grid: Grid
    seeds: int
    folds: int | None
    selection: str
    lanes_per_call: int
    vary: str = "weights"

    def __post_init__(self) -> None:
        check_options(self.seeds, self.folds, self.selection, self.lanes_per_call)
        check_size(self.shared, self.grid, self.seeds, self.folds, self.lanes_per_call)
        check_vary(self.vary, self.shared, self.seeds)

    @property
    def lanes(self) -> list[Lane]:
        """The lanes in the order in which they train: point by point, each over its seeds; or, if seeds differ in the
        order of the data, seed by seed, each over the points."""
        points, seeds = self.grid.points, range(self.shared.seed, self.shared.seed + self.seeds)
        if self.vary == "order":
            return [lane_of(point, seed) for seed in seeds for point in points]
        return [lane_of(point, seed) for point in points for seed in seeds]

    @property
    def places(self) -> np.ndarray:
        """[points, seeds] the place of each lane in `lanes`."""
        count = len(self.grid.points)
        return (np.arange(count * self.seeds).reshape(self.seeds, count).T if self.vary == "order" else
                np.arange(count * self.seeds).reshape(count, self.seeds))

    @property
    def chunks(self) -> list[Chunk]:
        """All chunks, fold by fold; the lanes of a chunk all train on the same batches."""
        lanes, size = self.lanes, self.lanes_per_call
        on_same = len(self.grid.points) if self.vary == "order" else len(lanes)
        parts = [(fold, tuple(lanes[start:min(start + size, first + on_same)])) for fold in self.fold_numbers
                 for first in range(0, len(lanes), on_same) for start in range(first, first + on_same, size)]
        firsts = np.cumsum([0, *(len(part) for _, part in parts[:-1])]).tolist()
        return [Chunk(number, fold, part, firsts[number]) for number, (fold, part) in enumerate(parts)]

    @property
    def fold_numbers(self) -> list[int | None]:
        """The folds, 0 … folds−1, or None alone without cross-validation."""
        return [None] if self.folds is None else list(range(self.folds))

    def to_dict(self) -> dict[str, Any]:
        """Returns what distinguishes this sweep from others, as JSON values; the place of its files does not."""
        left_out = HANDLING_FIELDS | {*self.shared.strengths, *LANE_FIELDS} - {"seed"}
        config = {name: value for name, value in self.shared.to_dict().items() if name not in left_out}
        grid = {name: list(values) for name, values in self.grid.values.items()}
        return {"config": config, "grid": grid, "seeds": self.seeds, "folds": self.folds,
                "selection": self.selection, "lanes_per_call": self.lanes_per_call,
                # Older plans lack these fields, or would mean something else by them.
                **({} if self.folds is None else {"folds_of": "training and validation"}),
                **({} if self.vary == "weights" else {"vary": self.vary})}


    def described(self) -> dict[str, Any]:
        """Returns `to_dict` with the name of the sweep, if it has one, for those who read its results."""
        plan = self.to_dict()
        return plan if self.shared.name is None else {**plan, "config": {**plan["config"], "name": self.shared.name}}


def lane_of(point: Point, seed: int) -> Lane:
    """Returns a point's lane of a seed."""
    return Lane(point.strengths, point.learning_rate, seed, point.penalize)


def shared_config(config: Config, grid: Grid) -> Config:
    """Returns `config` with the first values of the grid and without a folder, as what all lanes have in common.

    Its strategy is that of the winners' runs, one device; `num_devices` is the number of devices for the lanes.
    """
    return dataclasses.replace(config, strategy="one_device", model_dir=None, resume="auto", **vars(grid.points[0]))

