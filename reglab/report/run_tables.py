"""The tables of runs: what they reached, the penalties by term and by layer, and the looks at other examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reglab.console.format import percent, size
from reglab.records.settings import differing, in_words, setting, spoken
from reglab.records.told import count_at, list_at, number_at, text_at, value_at
from reglab.report.cells import cell, signed
from reglab.report.document import Column, Table
from reglab.report.views import RunView

_MOST_SETTINGS: Final = 6
_BEST: Final = "lowest"


def overview(views: Sequence[RunView], best: RunView | None) -> Table:
    """Returns a row for each run: its state, the settings that differ, and what it reached."""
    names = differing([view.record for view in views])
    apart = names if len(names) <= _MOST_SETTINGS else []
    columns = [Column("run", False), Column("state", False), *(Column(name) for name in apart),
               *([Column("what differs", False)] if names and not apart else []), Column("steps"),
               Column("validation data loss"), Column("accuracy"), Column("at epoch"), Column("training data loss"),
               Column("gap"), Column("penalty"), Column("sparsity"), Column("test accuracy"), Column("size")]
    rows = [[view.label, _state(view, view is best and len(views) > 1),
             *(spoken(setting(view.record, name)) for name in apart),
             *([in_words(view.record, names)] if names and not apart else []), _steps(view), *_reached(view),
             cell(None if view.record.size is None else float(view.record.size), size)] for view in views]
    has_test = any(row[-2] != "-" for row in rows)
    kept = [at for at, column in enumerate(columns) if column.title != "test accuracy" or has_test]
    notes = ["Validation data loss and accuracy are those of the best state, the others those of the last evaluation. "
             "Gap: validation - training data loss, in nats."]
    if has_test:
        notes.append("Test accuracy: with its interval, as reglab.evaluate found it; the last look where there were "
                     "several.")
    return Table("Runs" if len(views) > 1 else "What it reached", [columns[at] for at in kept],
                 [[row[at] for at in kept] for row in rows],
                 frozenset(at for at, view in enumerate(views) if view is best and len(views) > 1), None, notes)


def terms(views: Sequence[RunView]) -> Table:
    """Returns the objective of each run at the end: the training data loss and each penalty."""
    names = list(dict.fromkeys(name for view in views for name in _terms(view)))
    rows = []
    for view in views:
        told, penalty = number_at(view.record.content, "train", "total"), view.tags.get("penalty/total")
        total = view.final("train_total") if told is None else told
        if penalty is not None:
            rows.append([view.label, cell(None if total is None else total - penalty),
                         *(cell(view.tags.get(f"penalty/{name}")) for name in names), cell(penalty), cell(total)])
    notes = [f"With {flag} the training loss is the {which} one." for flag, name, which in (
        ("label smoothing", "label_smoothing", "smoothed"), ("class weights", "class_weights", "weighted"))
             if any(view.record.settings.get(name) for view in views)]
    return Table("Objective at the end = training loss + penalties (nats)", [
        Column("run", False), Column("training loss"), *map(Column, names), Column("penalty"), Column("objective")],
        rows, notes=notes)


def layers(view: RunView) -> Table:
    """Returns the penalties, norms and sparsity of each layer of a run."""
    tags = view.tags
    found = [tag.split("/") for tag in tags]
    names = list(dict.fromkeys(parts[1] for parts in found if len(parts) == 3 and parts[0] in ("penalty", "norm")))
    names += [parts[1] for parts in found if len(parts) == 2 and parts[0] == "sparsity"
              and parts[1] not in (*names, "total")]
    kinds = list(dict.fromkeys((parts[0], parts[2]) for parts in found if len(parts) == 3
                               and parts[0] in ("penalty", "norm")))
    kinds.sort(key=lambda kind: kind[0] == "norm")
    rows = [[name, *(cell(tags.get(f"{kind}/{name}/{term}")) for kind, term in kinds),
             cell(tags.get(f"sparsity/{name}"), percent)] for name in names]
    return Table(f"Penalties, norms and sparsity by layer: {view.label}", [
        Column("layer", False), *(Column(f"{kind} {term}") for kind, term in kinds), Column("sparsity")], rows)


def looks(views: Sequence[RunView]) -> Table:
    """Returns each evaluation of other examples, by `reglab.evaluate` or at the end of a sweep."""
    rows, confidence = [], 0.95
    for view in views:
        for result in view.evaluations.results.values():
            low, high = (number_at(result, "accuracy", name) for name in ("low", "high"))
            confidence = number_at(result, "accuracy", "confidence") or confidence
            own = "" if value_at(result, "is_own") is True else "new data, "
            rows.append([view.label, f"{own}{text_at(result, 'split') or '?'} part of {text_at(result, 'data') or '?'}",
                         cell(number_at(result, "examples"), "{:,.0f}".format),
                         f"{text_at(result, 'state') or '?'}, step {count_at(result, 'step') or 0:,}",
                         cell(number_at(result, "accuracy", "value"), percent),
                         f"{cell(low, percent).removesuffix(' %')} to {cell(high, percent)}",
                         cell(number_at(result, "data_loss")), str(len(list_at(result, "looks_before")))])
    return Table("Looks at examples after training", [
        Column("run", False), Column("examples", False), Column("number"), Column("state", False), Column("accuracy"),
        Column(f"{100 * confidence:.0f} % interval"), Column("data loss"), Column("looks before")], rows)


def best_epoch(view: RunView) -> int | None:
    """Returns the epoch of the best state, or None if it is not known."""
    told = count_at(view.record.content, "best", "epoch")
    if told is not None:
        return told
    losses = view.curves.values.get("validation_data_loss", [])
    known = [(loss, at) for at, loss in enumerate(losses) if loss is not None]
    length = view.steps_per_epoch
    return view.curves.steps[min(known)[1]] // length if known and length else None


def _state(view: RunView, is_best: bool) -> str:
    return f"{view.record.state}, {_BEST}" if is_best else view.record.state


def _steps(view: RunView) -> str:
    step, steps = view.record.step, view.record.steps
    if step is None:
        return "-"
    return f"{step:,}" if view.record.state == "done" or not steps else f"{step:,} of {steps:,}"


def _reached(view: RunView) -> list[str]:
    content, best = view.record.content, view.best
    gap = number_at(content, "gap", "data_loss")
    epoch = best_epoch(view)
    return [cell(best.get("data_loss")), cell(best.get("accuracy"), percent), "-" if epoch is None else str(epoch),
            cell(_loss(view)), cell(view.final("gap") if gap is None else gap, signed),
            cell(view.tags.get("penalty/total")), cell(view.tags.get("sparsity/total"), percent), _tested(view)]


def _loss(view: RunView) -> float | None:
    told = number_at(view.record.content, "train", "data_loss")
    return view.final("train_data_loss") if told is None else told


def _tested(view: RunView) -> str:
    own = [result for result in view.evaluations.results.values()
           if value_at(result, "split") == "test" and value_at(result, "is_own") is True]
    if not own:
        return "-"
    last: Any = max(own, key=lambda result: len(list_at(result, "looks_before")))
    low, high = (number_at(last, "accuracy", name) for name in ("low", "high"))
    return (f"{cell(number_at(last, 'accuracy', 'value'), percent)} ({cell(low, percent).removesuffix(' %')} to "
            f"{cell(high, percent).removesuffix(' %')})")


def _terms(view: RunView) -> list[str]:
    return [tag.removeprefix("penalty/") for tag in view.tags
            if tag.startswith("penalty/") and tag.count("/") == 1 and tag != "penalty/total"]
