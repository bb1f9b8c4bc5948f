"""The section of a report on a comparison: a row, and curves with their intervals, for each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from reglab.console.format import percent
from reglab.records.record import Record
from reglab.records.settings import spoken
from reglab.records.told import list_at, mapping_at, number_at, numbers_at, text_at, value_at
from reglab.report.axes import linear, of_epochs, of_losses
from reglab.report.cells import Form, points, signed, with_interval
from reglab.report.charts import HUES, Line, chart, key_mark
from reglab.report.document import Block, Column, Picture, Pictures, Section, Table
from reglab.report.experiments import diverged_notes, folded_settings, lead_of, sentences_of, title_of
from reglab.report.views import LETTERS


class _Metric(NamedTuple):
    name: str
    title: str
    form: Form
    difference: Form = signed


_METRICS: Final = (
    _Metric("validation_accuracy", "validation accuracy", percent, points),
    _Metric("validation_data_loss", "validation data loss", lambda value: f"{value:.4g}"),
    _Metric("train_accuracy", "training accuracy", percent, points),
    _Metric("train_data_loss", "training data loss", lambda value: f"{value:.4g}"),
    _Metric("gap", "gap", lambda value: f"{value:+.4g}"), _Metric("sparsity", "sparsity", percent, points))
_PANELS: Final = (("Data loss (nats)", ("train_data_loss", "validation_data_loss")),
                  ("Accuracy (%)", ("train_accuracy", "validation_accuracy")),
                  ("Gap: validation - training data loss (nats)", ("gap",)),
                  ("Sparsity (% of the kernel entries)", ("sparsity",)))


def section_of_comparison(record: Record, name: str) -> Section:
    """Returns the section on a comparison."""
    arms = [arm for arm in list_at(record.content, "arms") if isinstance(arm, Mapping)]
    blocks: list[Block] = []
    if arms:
        pictures = _pictures(record.content, arms)
        blocks = [_table(record, arms), *([pictures] if pictures.pictures else []), _differences(record, arms),
                  _criteria(record)]
    return Section(title_of(record, name), lead_of(record), sentences_of(record),
                   [*blocks, *([folded_settings(record)] if record.settings else [])], record.problems)


def _table(record: Record, arms: Sequence[Mapping[str, Any]]) -> Table:
    strengths = _strengths(arms)
    losses = [number_at(arm, "final", "validation_data_loss", "mean") for arm in arms]
    best = min((at for at, loss in enumerate(losses) if loss is not None), key=lambda at: losses[at] or 0.0,
               default=None)
    rows = [[_label(arms, at) + (", lowest loss" if at == best else ""), *(spoken(arm[name]) for name in strengths),
             *(with_interval(value_at(arm, "final", metric.name), metric.form) for metric in _METRICS),
             str(value_at(arm, "diverged") or 0)] for at, arm in enumerate(arms)]
    confidence = number_at(record.content, "confidence")
    notes = [] if confidence is None else [f"Means with {100 * confidence:.0f} % intervals."]
    return Table("Arms", [Column("arm", False), *map(Column, strengths), *(Column(m.title) for m in _METRICS),
                          Column("diverged")], rows, frozenset() if best is None else frozenset({best}), None,
                 [*notes, *diverged_notes(record)])


def _differences(record: Record, arms: Sequence[Mapping[str, Any]]) -> Table:
    rows = [[_label(arms, at), *(with_interval(value_at(arm, "difference", metric.name), metric.difference)
                                 for metric in _METRICS)]
            for at, arm in enumerate(arms) if mapping_at(arm, "difference")]
    return Table(f"Difference to {text_at(arms[0], 'title') or 'the first arm'}, paired by seed",
                 [Column("arm", False), *(Column(m.title) for m in _METRICS)], rows, notes=[
                     "Accuracies and sparsity in percentage points, losses in nats."])


def _criteria(record: Record) -> Table:
    rows = [[text, "yes" if value_at(one, "passed") is True else "no"] for one in
            list_at(record.content, "verdict", "criteria") if (text := text_at(one, "text")) is not None]
    return Table("What the preset expects", [Column("criterion", False), Column("met", False)], rows)


def _pictures(content: Mapping[str, Any], arms: Sequence[Mapping[str, Any]]) -> Pictures:
    pictures = []
    for title, names in _PANELS:
        lines = [line for name in names for at, arm in enumerate(arms)
                 if (line := _line(content, arms, at, name, name == names[-1])) is not None]
        known = [value for line in lines for values in (line.y, line.low or [], line.high or []) for value in values
                 if value is not None]
        if known:
            x = of_epochs([place for line in lines for place in line.x])
            is_loss, is_fraction = "data_loss" in names[0], names[0] != "gap" and "data_loss" not in names[0]
            y = of_losses(known) if is_loss else linear(known, percent=is_fraction, from_zero=not is_fraction)
            title += ", log scale" if y.is_log else ""
            pictures.append(Picture(title, chart(title, lines, x, y, "epoch")))
    key = [(key_mark(_hue(at)), _label(arms, at)) for at in range(len(arms))]
    return Pictures(pictures, [*key, (key_mark(5, is_dashed=True), "training part")])


def _line(content: Mapping[str, Any], arms: Sequence[Mapping[str, Any]], at: int, name: str, is_last: bool
          ) -> Line | None:
    curve = value_at(arms[at], "curves", name)
    epochs, mean = numbers_at(content, "epochs"), numbers_at(curve, "mean")
    if len(mean) != len(epochs) or None in epochs:
        return None
    ends = [values if len(values := numbers_at(curve, end)) == len(mean) and None not in values else None
            for end in ("low", "high")]
    is_training = name.startswith("train")
    return Line(f"{text_at(arms[at], 'title') or at}, {name.replace('_', ' ')}", [e for e in epochs if e is not None],
                mean, _hue(at), LETTERS[at] if is_last and at < HUES else "", is_training,
                None if is_training else ends[0], None if is_training else ends[1])


def _hue(at: int) -> int | None:
    return at if at < HUES else None


def _label(arms: Sequence[Mapping[str, Any]], at: int) -> str:
    title = text_at(arms[at], "title") or text_at(arms[at], "name") or f"arm {at}"
    return f"{LETTERS[at]} {title}" if at < HUES else title


def _strengths(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    known = ("name", "title", "diverged", "final", "difference", "curves")
    return [name for name in arms[0] if name not in known and all(name in arm for arm in arms)]

