"""What a reproduction is: published figures with their source, a way to train for them, and criteria that decide."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from reglab.config import ConfigError
from reglab.inputs.texts import shown

if TYPE_CHECKING:
    from reglab.console import Console
    from reglab.data import Dataset

MOST_SEEDS: Final = 1000
LABEL: Final = "label"
"""The key of a row's own name."""


def check_seeds(seeds: int) -> None:
    """Checks the number of seeds.

    Raises:
      ConfigError: it is out of range.
    """
    if not 1 <= seeds <= MOST_SEEDS:
        raise ConfigError(f"--seeds={shown(seeds)}: give 1 to {MOST_SEEDS:,}; an interval needs at least 2")


class Interval(NamedTuple):
    """A mean over seeds with the ends of its 95 % interval, which are None for a single seed."""

    mean: float
    low: float | None
    high: float | None


class Criterion(NamedTuple):
    """A claim about the figures, and whether it holds for the whole of an interval."""

    text: str
    passed: bool


class Outcome(NamedTuple):
    """What was found.

    Attributes:
      rows: maps each column's name to a published number, an `Interval`, a text or None; `LABEL` names the row.
      criteria: what decides.
      sentence: the finding in words.
    """

    rows: tuple[Mapping[str, Any], ...]
    criteria: tuple[Criterion, ...]
    sentence: str

    @property
    def passed(self) -> bool:
        """Whether every criterion holds."""
        return all(criterion.passed for criterion in self.criteria)


class Job(NamedTuple):
    """What a part of a reproduction is trained with.

    Attributes:
      seeds: the seeds, each with initial weights of its own.
      console: gets warnings.
      on_step: called with the steps done of a set of lanes and those it has in all; may raise to stop.
    """

    seeds: Sequence[int]
    console: Console
    on_step: Callable[[int, int], None]


class Reproduction(abc.ABC):
    """Published results, trained anew part by part; a finished part is kept.

    Attributes:
      name: what the command calls it.
      title: what it shows.
      source: where the published figures stand.
      differently: what was done differently there, a sentence each.
      metric: what its figures are, with the unit.
      columns: maps the columns of the table to their titles, in order; `LABEL` first.
      seeds: how many seeds it takes unless told otherwise.
      takes_data_dir: whether it needs the files of a public data set, and has a field `data_dir`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    differently: ClassVar[tuple[str, ...]]
    metric: ClassVar[str]
    columns: ClassVar[Mapping[str, str]]
    seeds: ClassVar[int] = 5
    takes_data_dir: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """What is trained, as JSON values: a folder of other settings is another reproduction."""

    @property
    @abc.abstractmethod
    def parts(self) -> tuple[str, ...]:
        """The names of the parts, in the order in which they are trained."""

    @abc.abstractmethod
    def data(self) -> Dataset:
        """Makes the data, with all three splits.

        Raises:
          ConfigError: a package or file is missing.
        """

    @abc.abstractmethod
    def train(self, part: str, data: Dataset, job: Job) -> dict[str, Any]:
        """Trains a part; returns what is kept of it, as JSON values."""

    @abc.abstractmethod
    def outcome(self, parts: Mapping[str, Mapping[str, Any]]) -> Outcome:
        """Judges what was kept of all parts."""

    @abc.abstractmethod
    def draw(self, outcome: Outcome, axis: Any) -> None:
        """Draws the rows on axes of matplotlib."""
