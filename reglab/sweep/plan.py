"""What a sweep will train: its lanes, and how they are cut into chunks. No TensorFlow here but for `Lane`."""

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
      fold: which fold is held out; None without cross-validation.
      lanes: its lanes; the last chunk of a fold may have fewer than `Plan.lanes_per_call`.
    """

    number: int
    fold: int | None
    lanes: tuple[Lane, ...]

    def padded(self, size: int) -> list[Lane]:
        """Exactly `size` lanes, for one compilation serves one size: the last is repeated."""
        return [*self.lanes, *self.lanes[-1:] * (size - len(self.lanes))]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep.

    Attributes:
      shared: what all lanes have in common; its seed is the first one.
      grid: what differs.
      seeds: how many seeds each point has.
      folds: of cross-validation, or None for the data's own validation part.
      selection: what chooses on the validation part: "data_loss" (the lowest) or "accuracy" (the highest).
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
        """In the order in which they train: point by point, each over its seeds; or, where seeds differ in the order of
        the data, seed by seed, each over the points."""
        points, seeds = self.grid.points, range(self.shared.seed, self.shared.seed + self.seeds)
        if self.vary == "order":
            return [lane_of(point, seed) for seed in seeds for point in points]
        return [lane_of(point, seed) for point in points for seed in seeds]

    @property
    def places(self) -> np.ndarray:
        """[points, seeds] where each lane stands in `lanes`."""
        count = len(self.grid.points)
        return (np.arange(count * self.seeds).reshape(self.seeds, count).T if self.vary == "order" else
                np.arange(count * self.seeds).reshape(count, self.seeds))

    @property
    def chunks(self) -> list[Chunk]:
        """All chunks, fold by fold; one has lanes on the same batches only."""
        lanes, size = self.lanes, self.lanes_per_call
        on_same = len(self.grid.points) if self.vary == "order" else len(lanes)
        parts = [(fold, tuple(lanes[start:min(start + size, first + on_same)])) for fold in self.fold_numbers
                 for first in range(0, len(lanes), on_same) for start in range(first, first + on_same, size)]
        return [Chunk(number, fold, part) for number, (fold, part) in enumerate(parts)]

    @property
    def fold_numbers(self) -> list[int | None]:
        """0 … folds−1, or only None."""
        return [None] if self.folds is None else list(range(self.folds))

    def to_dict(self) -> dict[str, Any]:
        """What makes this sweep another than others, as JSON values; where its files are does not."""
        left_out = HANDLING_FIELDS | {*self.shared.strengths, *LANE_FIELDS} - {"seed"}
        config = {name: value for name, value in self.shared.to_dict().items() if name not in left_out}
        grid = {name: list(values) for name, values in self.grid.values.items()}
        return {"config": config, "grid": grid, "seeds": self.seeds, "folds": self.folds,
                "selection": self.selection, "lanes_per_call": self.lanes_per_call,
                # What plans from before it do not have, or would mean otherwise.
                **({} if self.folds is None else {"folds_of": "training and validation"}),
                **({} if self.vary == "weights" else {"vary": self.vary})}


def lane_of(point: Point, seed: int) -> Lane:
    """A point's lane of that seed."""
    return Lane(point.strengths, point.learning_rate, seed, point.penalize)


def shared_config(config: Config, grid: Grid) -> Config:
    """`config` with the grid's first values and without a folder: the lanes' own matters left out.

    Its strategy is that of the winners' runs, one device; `num_devices` says how many lanes are spread over.
    """
    return dataclasses.replace(config, strategy="one_device", model_dir=None, resume="auto", **vars(grid.points[0]))

