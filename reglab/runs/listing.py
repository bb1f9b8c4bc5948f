"""`runs`: the runs, comparisons and sweeps in a folder, sorted."""

from __future__ import annotations

import dataclasses
import html
import math
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from reglab.config.checks import one_of
from reglab.console.format import age, number, percent, size
from reglab.inputs.texts import shown
from reglab.records.folders import find_records, named_folder
from reglab.records.record import STATES, Record
from reglab.records.settings import differing, in_words

_LAST: Final = math.inf
SORTS: Final[Mapping[str, Callable[[Record], Any]]] = {
    "age": lambda record: _last(-1, record.changed),
    "name": lambda record: str(record.folder),
    "state": lambda record: STATES.index(record.state),
    "dataset": lambda record: record.dataset or "~",
    "data_loss": lambda record: _last(1, record.best.get("data_loss")),
    "accuracy": lambda record: _last(-1, record.best.get("accuracy")),
    "steps": lambda record: _last(-1, record.step),
    "size": lambda record: _last(-1, record.size),
}
"""What sorts: the newest, the best, the longest, the largest first; what is not known comes last."""


def _last(sign: int, value: float | None) -> float:
    return _LAST if value is None else sign * value


@dataclasses.dataclass(frozen=True)
class Listing:
    """What lies in a folder.

    Attributes:
      folder: the folder.
      records: what was found in it, sorted.
      now: the time that ages are counted from, in seconds since 1970.
    """

    folder: pathlib.Path
    records: tuple[Record, ...]
    now: float

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain JSON values."""
        return {"folder": str(self.folder), "differs": differing(self.records), "runs": [
            {**record.to_dict(), "name": self._name(record),
             "age": None if record.changed is None else self.now - record.changed} for record in self.records]}

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __str__(self) -> str:
        rows = [tuple(self.rows()[0]), *(tuple(row.values()) for row in self.rows())] if self.records else []
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))] if rows else []
        return "\n".join("  ".join(cell.rjust(width) if name in _NUMBERS else cell.ljust(width)
                                   for cell, width, name in zip(row, widths, _COLUMNS, strict=True)).rstrip()
                         for row in rows) or f"There is no run, comparison or sweep in {self.folder}."

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def line(cells: Any, tag: str) -> str:
            return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
        return f"<table>{line(_COLUMNS, 'th')}{''.join(line(row.values(), 'td') for row in self.rows())}</table>"

    def rows(self) -> list[dict[str, str]]:
        """Returns the cells of the table as texts, by the name of the column."""
        names = [name for name in differing(self.records) if name != "dataset"]
        return [dict(zip(_COLUMNS, self._cells(record, names), strict=True)) for record in self.records]

    def _cells(self, record: Record, names: list[str]) -> tuple[str, ...]:
        loss, accuracy = record.best.get("data_loss"), record.best.get("accuracy")
        step = "" if record.step is None else f"{record.step:,}" + (
            f" of {record.steps:,}" if record.steps and record.state != "done" else "")
        told = in_words(record, names) if record.state != "broken" else record.note
        note = f"({record.note})" if record.kind != "run" and record.state == "unfinished" else ""
        return (self._name(record), record.kind, " ".join(filter(None, [record.state, note])),
                shown(record.dataset or "", 30), step, "" if loss is None else number(loss),
                "" if accuracy is None else percent(accuracy),
                "" if record.changed is None else age(self.now - record.changed),
                "" if record.size is None else size(record.size), told)

    def _name(self, record: Record) -> str:
        return os.path.relpath(record.folder, self.folder)


_COLUMNS: Final = ("name", "kind", "state", "dataset", "steps", "data loss", "accuracy", "age", "size",
                   "what differs")
_NUMBERS: Final = frozenset({"steps", "data loss", "accuracy", "age", "size"})


def runs(folder: str | os.PathLike[str] = "runs", *, sort: str = "age") -> Listing:
    """Finds the runs, comparisons and sweeps in a folder and in the folders below it, and reads what they tell.

    Nothing is written, locked or imported for it that takes long; a run in progress is listed as it stands. What is
    damaged is listed with the reason, and what is no run is passed over.

    Args:
      folder: the folder to look in; it may be that of one run.
      sort: what sorts: one of `SORTS`.

    Raises:
      ConfigError: there is no such folder, or no such order.
    """
    one_of(*SORTS)("sort", sort)
    place = named_folder(folder)
    found = sorted(find_records(place), key=lambda record: str(record.folder))
    return Listing(place, tuple(sorted(found, key=SORTS[sort])), time.time())
