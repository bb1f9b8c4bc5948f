"""The epoch table as text: one `EpochRow` per epoch, laid out for a given width."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from reglab.console.format import TRAINED_LOSSES, number, percent, rate, trained_loss

# (width of a number, separator of groups, whether epochs are shown as k/N), from wide to narrow. The first fit is used.
_SPACINGS: Final = ((9, " | ", True), (8, " | ", True), (7, "  ", False))
NOT_TERMS: Final = ("data_loss", *TRAINED_LOSSES, "penalty", "total", "accuracy")
"""The names in the scores of a split that are no names of penalties."""
_SHORT_TITLES: Final = {"data loss": "loss", "accuracy": "acc", "steps/s": "step/s"}


@dataclasses.dataclass(frozen=True)
class EpochRow:
    """The results of one epoch.

    Attributes:
      epoch: the number of the epoch, from 1.
      epochs: the number of epochs in the run.
      step: the global step at the end of the epoch.
      train: `data_loss`, each term by the name of its penalty, `total`, `accuracy` and, if there is one, the
        one of `TRAINED_LOSSES`, over the whole training split at the end of the epoch.
      validation: `data_loss` and `accuracy`; None if this epoch was not evaluated.
      seconds: the duration of the epoch.
      steps_per_second: the rate of its training; None while only the compilation has been timed.
    """

    epoch: int
    epochs: int
    step: int
    train: Mapping[str, float]
    validation: Mapping[str, float] | None
    seconds: float
    steps_per_second: float | None

    @property
    def penalties(self) -> tuple[str, ...]:
        """The names of the terms."""
        return tuple(name for name in self.train if name not in NOT_TERMS)

    @property
    def trained_loss(self) -> str | None:
        """The name of the loss that is part of the total in place of the data loss, or None."""
        return trained_loss(self.train)

    @property
    def gap(self) -> float | None:
        """Validation minus training data loss: the generalization gap."""
        return None if self.validation is None else self.validation["data_loss"] - self.train["data_loss"]


class Cell(NamedTuple):
    """A padded piece of a row; `name` is `train.data_loss`, `validation.accuracy`, `gap` …, or "" for a separator."""

    name: str
    text: str


class _Column(NamedTuple):
    name: str
    title: str
    width: int


class EpochTable:
    """A fixed-width header and rows of at most `width` characters, but never less than the 54 of the tightest layout.

    Args:
      epochs: the number of epochs in the run.
      width: the largest length of a line.
      penalties: the names of the terms, one column each; if even the tightest spacing is too wide, these columns are
        the first to be left out.
      trained_loss: the one of `TRAINED_LOSSES` that has a column, if any.
    """

    def __init__(self, epochs: int, width: int = 100, penalties: Sequence[str] = (),
                 trained_loss: str | None = None) -> None:
        self._penalties, self._losses = penalties, [] if trained_loss is None else [trained_loss]
        terms = {*penalties, *TRAINED_LOSSES.values()}
        for dropped in (frozenset[str](), frozenset(terms), frozenset({*terms, "total", "steps/s"})):
            for spacing in _SPACINGS:
                self._lay_out(epochs, spacing, dropped)
                if self.width <= width:
                    return

    def _lay_out(self, epochs: int, spacing: tuple[int, str, bool], dropped: frozenset[str]) -> None:
        number_width, self._separator, self._count_epochs = spacing
        percent_width = min(number_width, 8)
        epoch_width = 2 * len(str(epochs)) + 1 if self._count_epochs else len(str(epochs))
        groups = {
            "": [("epoch", "epoch", max(5, epoch_width))],
            "training": [("train.data_loss", "data loss", number_width),
                         *((f"train.{name}", TRAINED_LOSSES[name], max(number_width, 8)) for name in self._losses),
                         *((f"train.{name}", name, max(number_width, len(name))) for name in self._penalties),
                         ("train.total", "total", number_width),
                         ("train.accuracy", "accuracy", percent_width)],
            "validation": [("validation.data_loss", "data loss", number_width),
                           ("validation.accuracy", "accuracy", percent_width)],
            "gap": [("gap", "gap", percent_width)],
            "pace": [("steps/s", "steps/s", percent_width - 1)],
        }
        kept = {group: [_Column(*column) for column in columns if column[1] not in dropped]
                for group, columns in groups.items()}
        self._groups = {group: columns for group, columns in kept.items() if columns}

    @property
    def width(self) -> int:
        """The length of every line."""
        return sum(map(_group_width, self._groups.values())) + len(self._separator) * (len(self._groups) - 1)

    def header(self) -> list[str]:
        """Returns the two lines above the rows: groups, then columns."""
        over = [f" {group} ".center(_group_width(columns), "-") if group in ("training", "validation")
                else " " * _group_width(columns) for group, columns in self._groups.items()]
        return [self._separator.join(over).rstrip(), "".join(text for _, text in self._cells(_titles(self._groups)))]

    def row(self, row: EpochRow) -> list[Cell]:
        """Returns the pieces of a row; their texts joined are the line."""
        texts = {"epoch": f"{row.epoch}/{row.epochs}" if self._count_epochs else str(row.epoch)}
        for split, values in (("train", row.train), ("validation", row.validation or {})):
            texts |= {f"{split}.{name}": self._value(f"{split}.{name}", value) for name, value in values.items()}
        if row.gap is not None:
            texts["gap"] = self._value("gap", row.gap)
        texts["steps/s"] = rate(row.steps_per_second)
        return list(self._cells(texts))

    def _value(self, name: str, value: float) -> str:
        width = {column.name: column.width for columns in self._groups.values() for column in columns}.get(name, 9)
        if name.endswith("accuracy"):
            return percent(value, width)
        return number(value, width, sign="+" if name == "gap" else "")

    def _cells(self, texts: Mapping[str, str]) -> Iterator[Cell]:
        for index, columns in enumerate(self._groups.values()):
            if index:
                yield Cell("", self._separator)
            for position, column in enumerate(columns):
                yield Cell(column.name, " " * (position > 0) + texts.get(column.name, "-").rjust(column.width))


def _group_width(columns: list[_Column]) -> int:
    return sum(column.width for column in columns) + len(columns) - 1


def _titles(groups: Mapping[str, list[_Column]]) -> dict[str, str]:
    return {column.name: column.title if len(column.title) <= column.width else _SHORT_TITLES[column.title]
            for columns in groups.values() for column in columns}
