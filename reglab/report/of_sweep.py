"""The section of a report on a sweep or a path: a row for each point, and curves along the penalty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reglab.console.format import percent
from reglab.records.record import Record
from reglab.records.settings import spoken
from reglab.records.told import count_at, list_at, mapping_at, number_at, value_at
from reglab.report.cells import cell, count, signed, with_error
from reglab.report.document import Block, Column, Folded, Section, Table
from reglab.report.experiments import diverged_notes, folded_settings, lead_of, sentences_of, title_of
from reglab.report.sweep_charts import sweep_pictures
from reglab.storage.reading import is_number

_MOST_ROWS: Final = 40
_SHOWN: Final = 20


def section_of_sweep(record: Record, name: str) -> Section:
    """Returns the section on a sweep or a path."""
    points = [point for point in list_at(record.content, "points") if isinstance(point, Mapping)]
    blocks: list[Block] = []
    if points:
        pictures = sweep_pictures(record.content, points, varied(record.content))
        blocks = [*_tables(record, points), *([pictures] if pictures is not None else [])]
    return Section(title_of(record, name), lead_of(record), sentences_of(record),
                   [*blocks, *([folded_settings(record)] if record.settings else [])], record.problems)


def varied(content: Mapping[str, Any]) -> list[str]:
    """Returns the settings of which a sweep tried several values."""
    return [name for name, values in mapping_at(content, "grid").items() if isinstance(values, list)
            and len(values) > 1]


def _tables(record: Record, points: Sequence[Mapping[str, Any]]) -> list[Block]:
    names = varied(record.content)
    whole = _points(record, points, names, range(len(points)), f"{len(points)} points")
    blocks: list[Block] = []
    if len(points) > _MOST_ROWS:
        ranked = sorted(range(len(points)), key=lambda at: _loss(points[at]))[:_SHOWN]
        blocks.append(_points(record, points, names, sorted(ranked),
                              f"The {_SHOWN} points of the lowest validation data loss, of {len(points)}"))
        blocks.append(Folded(f"All {len(points)} points", [whole]))
    else:
        blocks.append(whole)
    map_of_points = _map(record, points, names)
    if map_of_points is not None:
        blocks.append(map_of_points)
    if any("warm" in point for point in points):
        blocks.append(_warm(points, names))
    return blocks


def _points(record: Record, points: Sequence[Mapping[str, Any]], names: Sequence[str], shown: Sequence[int], title: str
            ) -> Table:
    columns = [*(Column(name) for name in names), Column("validation data loss"), Column("validation accuracy"),
               Column("training accuracy"), Column("gap"), Column("nonzero"), Column("sparsity"), Column("diverged"),
               Column("choice", False)]
    rows = []
    for at in shown:
        point = points[at]
        validation = value_at(point, "validation")
        rows.append([*(spoken(value_at(point, name)) for name in names),
                     with_error(value_at(validation, "data_loss")),
                     with_error(value_at(validation, "accuracy"), percent),
                     with_error(value_at(point, "train", "accuracy"), percent),
                     with_error(value_at(point, "gap", "data_loss"), signed),
                     cell(number_at(point, "nonzero", "mean"), count),
                     cell(number_at(point, "sparsity", "mean"), percent),
                     str(count_at(point, "diverged") or 0), _choice(record.content, at)])
    has_errors = any(" ± " in text for row in rows for text in row)
    notes = ["Means ± one standard error; a choice never looks at a penalty." if has_errors else
             "A choice never looks at a penalty."]
    return Table(title, columns if names else [Column("point"), *columns], rows if names else
                 [[str(at), *row] for at, row in zip(shown, rows, strict=True)],
                 frozenset(place for place, at in enumerate(shown) if _choice(record.content, at)), None,
                 [*notes, *diverged_notes(record)])


def _choice(content: Mapping[str, Any], at: int) -> str:
    return ", ".join(text for key, text in (("best", "best"), ("one_standard_error", "one-standard-error"))
                     if count_at(content, key) == at)


def _map(record: Record, points: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Table | None:
    """Returns validation data loss by two settings as a map, the lower the darker, or None if not two were varied."""
    if len(names) != 2:
        return None
    plain = [point for point in points if all(_is_plain(value_at(point, name)) for name in names)]
    down, across = (list(dict.fromkeys(point[name] for point in plain)) for name in names)
    losses = {tuple(point[name] for name in names): number_at(point, "validation", "data_loss", "mean")
              for point in plain}
    ranked = sorted(loss for loss in losses.values() if loss is not None)
    if not ranked:
        return None

    def depth(loss: float | None) -> float | None:
        return None if loss is None else 1 - ranked.index(loss) / max(len(ranked) - 1, 1)

    best = points[at] if (at := count_at(record.content, "best")) is not None and at < len(points) else {}
    place = tuple(value_at(best, name) for name in names)
    rows = [[spoken(row), *(cell(losses.get((row, column))) + (" best" if (row, column) == place else "")
                            for column in across)] for row in down]
    shades = [[None, *(depth(losses.get((row, column))) for column in across)] for row in down]
    return Table(f"Validation data loss (nats) by {names[0]} (down) and {names[1]} (across)", [
        Column(names[0]), *(Column(f"{names[1]} {spoken(value)}") for value in across)], rows, frozenset(), shades,
        ["The lower, the darker."])


def _is_plain(value: Any) -> bool:
    return is_number(value) or isinstance(value, str)


def _warm(points: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Table:
    rows = [[*(spoken(value_at(point, name)) for name in names), cell(number_at(point, "warm_steps"), count),
             cell(number_at(point, "total_steps"), count), f"{count_at(point, 'settled') or 0}",
             *(with_error(value_at(point, which, "objective")) for which in ("warm", "cold")),
             *(with_error(value_at(point, which, "validation", "data_loss")) for which in ("warm", "cold")),
             *(cell(number_at(point, which, "nonzero", "mean"), count) for which in ("warm", "cold"))]
            for point in points]
    return Table("Warm starts, and cold starts after the same number of steps", [
        *(Column(name) for name in names), Column("steps here"), Column("steps in all"), Column("settled"),
        Column("objective, warm"), Column("cold"), Column("validation data loss, warm"), Column("cold"),
        Column("nonzero, warm"), Column("cold")], rows)


def _loss(point: Mapping[str, Any]) -> float:
    loss = number_at(point, "validation", "data_loss", "mean")
    return float("inf") if loss is None else loss
