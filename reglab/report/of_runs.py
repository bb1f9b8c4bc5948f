"""The section of a report on runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from reglab.console.format import number, percent, size
from reglab.records.record import STATES, Record
from reglab.records.settings import differing, spoken, unusual
from reglab.records.told import text_at, texts_at, value_at
from reglab.report.cells import rows_of_settings
from reglab.report.document import Block, Column, Folded, Section, Table
from reglab.report.run_charts import run_pictures
from reglab.report.run_tables import best_epoch, layers, looks, overview, terms
from reglab.report.views import RunView

_MOST_LAYER_TABLES: Final = 30
_MOST_NAMED: Final = 6


def section_of_runs(views: Sequence[RunView]) -> Section:
    """Returns the section on one or more runs."""
    best = best_of(views)
    pictures = run_pictures(views)
    shown = [view for view in views if view.hue is not None][:_MOST_LAYER_TABLES]
    of_layers = [table for view in shown if (table := layers(view)).rows]
    blocks: list[Block] = [overview(views, best), *([pictures] if pictures else []), terms(views)]
    if len(views) == 1:
        blocks += of_layers
    elif of_layers:
        blocks.append(Folded("Penalties, norms and sparsity by layer", of_layers))
    blocks.append(looks(views))
    same = unusual([view.record for view in views])
    if same:
        title = "Settings other than the default" + (" that all of them share" if len(views) > 1 else "")
        blocks.append(Folded(title, [Table(title, [Column("flag", False), Column("value", False)],
                                           rows_of_settings(same, spoken))]))
    one = views[0]
    return Section(one.name if len(views) == 1 else f"{len(views)} runs", _lead(views), _sentences(views, best), blocks,
                   [f"{view.record.folder}: {problem}" for view in views for problem in view.problems])


def best_of(views: Sequence[RunView]) -> RunView | None:
    """Returns the run of the lowest validation data loss, or None if they cannot be compared."""
    known = [view for view in views if view.best.get("data_loss") is not None]
    if not known or len({_validated_on(view.record) for view in known}) > 1:
        return None
    return min(known, key=lambda view: view.best["data_loss"] or 0.0)


def _validated_on(record: Record) -> str:
    """Returns by what the examples are told on which a run was validated."""
    digest = text_at(record.facts, "digests", "validation")
    return digest or repr([text_at(record.facts, "digest"), record.dataset, record.settings.get("validation_split")])


def _lead(views: Sequence[RunView]) -> str:
    if len(views) > 1:
        states = Counter(view.record.state for view in views)
        told = [f"{states[state]} {state}" for state in STATES if states[state]]
        return f"{', '.join(told)}; {size(sum(view.record.size or 0 for view in views))} on the disk"
    record = views[0].record
    data = text_at(record.facts, "description") or record.dataset or ""
    state = record.state + (f" ({record.note})" if record.note else "")
    seconds = value_at(record.content, "seconds")
    step = "" if record.step is None else f"{record.step:,} steps"
    took = f" in {seconds:.1f} s" if step and isinstance(seconds, float | int) and not record.content.get(
        "resumed_from") else ""
    return "; ".join(filter(None, [str(record.folder), state, f"{step}{took}", data,
                                   size(record.size or 0) + " on the disk"]))


def _sentences(views: Sequence[RunView], best: RunView | None) -> list[str]:
    found = [*_of_best(views, best), *_of_states(views)]
    for view in views:
        tested = [result for result in view.evaluations.results.values() if value_at(result, "split") == "test"]
        if len(views) == 1:
            found += [text for result in tested for text in texts_at(result, "sentences")]
        noted = sum(text_at(look, "split") == "test" for look in view.evaluations.looks)
        if noted > 1 and len(views) > 1:
            found.append(f"{view.name} has looked at a test part {noted} times: what was chosen after the first of "
                         "these was chosen by it.")
    if any(value_at(view.record.facts, "validated_on_test") is True for view in views):
        found.append("The validation part is the test part (--validation_split=0), so none is left that has chosen "
                     "nothing.")
    return found


def _of_best(views: Sequence[RunView], best: RunView | None) -> list[str]:
    known = [view for view in views if view.best.get("data_loss") is not None]
    if best is None:
        return ["They were not validated on the same examples, so their losses are not compared."] if known else []
    loss, accuracy = best.best["data_loss"] or 0.0, best.best.get("accuracy")
    epoch = best_epoch(best)
    at = "" if epoch is None else f" after epoch {epoch}"
    right = "" if accuracy is None else f", with an accuracy of {percent(accuracy)}"
    if len(views) == 1:
        gap = best.final("gap")
        more = "" if gap is None else (f" At the end validation is {number(abs(gap))} nats "
                                       f"{'worse' if gap > 0 else 'better'} than training.")
        return [f"The lowest validation data loss is {number(loss)} nats{at}{right}.{more}"]
    others = sorted((view.best["data_loss"] or 0.0, view.name) for view in known if view is not best)
    if not others:
        return [f"Only {best.name} tells a validation data loss: {number(loss)} nats{at}{right}."]
    text = (f"The validation data loss is lowest in {best.name}, {number(loss)} nats{at}{right}; that is "
            f"{number(others[0][0] - loss)} nats lower than in {others[0][1]}, the next.")
    names = differing([view.record for view in views])
    which = f" They differ in {_listed(names)}." if 0 < len(names) <= _MOST_NAMED else ""
    return [f"{text}{which} One run of each tells nothing about chance: reglab.compare and reglab.sweep do."]


def _of_states(views: Sequence[RunView]) -> list[str]:
    if len(views) == 1:
        return []
    return [f"{view.name}: {view.record.state}" + (f" ({view.record.note})" if view.record.note else "") + "."
            for view in views if view.record.state != "done"][:_MOST_NAMED]


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def told_of(view: RunView) -> dict[str, Any]:
    """Returns what is told of a run, as JSON values."""
    return {**view.record.to_dict(), "name": view.name, "problems": list(view.problems),
            "best_epoch": best_epoch(view), "result": dict(view.record.content) or None, "weights": dict(view.tags),
            "curves": {"step": list(view.curves.steps), **{name: list(values) for name, values in
                                                           view.curves.values.items()}},
            "evaluations": dict(view.evaluations.results), "looks": list(view.evaluations.looks)}
