"""A run as a report sees it: its record, its curves and evaluations, and how it is called and drawn."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reglab.records.curves import Curves, read_curves_or_line
from reglab.records.evaluations import Evaluations, read_evaluations
from reglab.records.record import Record
from reglab.records.told import count_at, mapping_at, number_at
from reglab.report.charts import HUES

MOST_CURVES: Final = 200
"""Of how many runs, those of the lowest validation data loss, the curves are read."""
LETTERS: Final = "ABCDEF"
_NO_CURVES: Final = Curves([], {}, {})


@dataclasses.dataclass(frozen=True)
class RunView:
    """A run in a report.

    Attributes:
      record: what its folder tells.
      name: how it is called.
      curves, evaluations: as read from its folder.
      hue: the number of its color, or None for grey.
      is_alone: whether it is the only run.
      problems: a line for each damaged file.
    """

    record: Record
    name: str
    curves: Curves
    evaluations: Evaluations
    hue: int | None
    is_alone: bool
    problems: Sequence[str]

    @property
    def letter(self) -> str:
        """The letter at the end of its lines; empty for grey ones, and where there are no others."""
        return "" if self.hue is None or self.is_alone else LETTERS[self.hue]

    @property
    def label(self) -> str:
        """Its letter and name."""
        return f"{self.letter} {self.name}".lstrip()

    @property
    def epochs(self) -> list[float]:
        """The place of each evaluation in epochs or, where these are not known, in steps."""
        length = self.steps_per_epoch
        return [step / length if length else float(step) for step in self.curves.steps]

    @property
    def steps_per_epoch(self) -> int | None:
        """How many updates an epoch has, or None if that is not known."""
        examples = count_at(self.record.facts, "sizes", "train")
        size = count_at(self.record.settings, "batch_size")
        return -(-examples // size) if examples and size else None

    @property
    def best(self) -> Mapping[str, float | None]:
        """Validation data loss and accuracy of the best state: as told or, where that is lost, of its curves."""
        losses, told = self.curves.values.get("validation_data_loss", []), self.record.best
        known = [(loss, at) for at, loss in enumerate(losses) if loss is not None]
        if told.get("data_loss") is not None or not known:
            return told
        loss, at = min(known)
        return {"data_loss": loss, "accuracy": self.curves.values["validation_accuracy"][at]}

    @property
    def tags(self) -> Mapping[str, float]:
        """What was measured of the weights at the end: of the result or, where there is none, the last evaluation."""
        weights = mapping_at(self.record.content, "weights")
        return {tag: value for tag in weights if (value := number_at(weights, tag)) is not None} or self.curves.last

    def final(self, name: str) -> float | None:
        """Returns the value of a curve at the last evaluation."""
        values: Any = self.curves.values.get(name)
        return values[-1] if values else None


def view_runs(records: Sequence[Record]) -> list[RunView]:
    """Reads the curves and evaluations of runs; the best `HUES` of them have colors, all if there are no more."""
    ranked = sorted(range(len(records)), key=lambda at: _loss(records[at]))
    colored = ranked[:HUES] if len(records) > HUES else range(len(records))
    hues = {at: hue for hue, at in enumerate(colored)}
    read = set(ranked[:MOST_CURVES])
    names = names_of(records)
    return [_view(record, names[at], hues.get(at), at in read, len(records) == 1) for at, record in enumerate(records)]


def names_of(records: Sequence[Record]) -> list[str]:
    """Returns the names of the folders, or their paths where two have the same name."""
    names = [os.path.basename(os.path.abspath(record.folder)) for record in records]
    return names if len(set(names)) == len(names) else [str(record.folder) for record in records]


def _loss(record: Record) -> float:
    loss = record.best.get("data_loss")
    return float("inf") if loss is None else loss


def _view(record: Record, name: str, hue: int | None, with_curves: bool, is_alone: bool) -> RunView:
    curves, problems = read_curves_or_line(record.folder) if with_curves else (_NO_CURVES, [])
    evaluations = read_evaluations(record.folder)
    return RunView(record, name, curves, evaluations, hue, is_alone,
                   [*record.problems, *problems, *evaluations.problems])
