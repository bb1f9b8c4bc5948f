"""The curves of runs: data loss and accuracy of both splits, the gap, the penalty apart from them, and sparsity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from reglab.report.axes import Axis, linear, of_epochs, of_losses
from reglab.report.charts import HUES, Line, chart, key_mark
from reglab.report.document import Picture, Pictures
from reglab.report.views import RunView


class _Panel(NamedTuple):
    title: str
    curves: tuple[str, ...]  # The last one is that of validation, or the only one.
    is_fraction: bool = False
    is_loss: bool = False


PANELS: Final = (
    _Panel("Data loss (nats)", ("train_data_loss", "validation_data_loss"), is_loss=True),
    _Panel("Accuracy (%)", ("train_accuracy", "validation_accuracy"), is_fraction=True),
    _Panel("Gap: validation - training data loss (nats)", ("gap",)),
    _Panel("Penalty (nats)", ("penalty",), is_loss=True),
    _Panel("Sparsity (% of the kernel entries)", ("sparsity",), is_fraction=True))


def run_pictures(views: Sequence[RunView]) -> Pictures | None:
    """Draws the curves of the runs, or returns None if there are none."""
    views = [view for view in views if view.curves.steps]
    if not views:
        return None
    in_epochs = all(view.steps_per_epoch for view in views)
    pictures = [picture for panel in PANELS if (picture := _picture(panel, views, in_epochs)) is not None]
    colored = sorted((view for view in views if view.hue is not None), key=lambda view: view.letter)
    key = [(key_mark(view.hue), view.label if len(views) > 1 else "validation part") for view in colored]
    grey = sum(view.hue is None for view in views)
    notes = []
    if grey:
        key.append((key_mark(None), f"the other {grey}"))
        notes = [f"The {HUES} runs of the lowest validation data loss have letters and colors; of the other {grey} the "
                 "validation part is shown."]
    dashed = [(key_mark(views[0].hue if len(views) == 1 else 5, is_dashed=True), "training part")]
    return Pictures(pictures, [*key, *dashed], notes)


def _picture(panel: _Panel, views: Sequence[RunView], in_epochs: bool) -> Picture | None:
    lines = [line for view in views for line in _lines(panel, view, in_epochs)]
    known = [value for line in lines for value in line.y if value is not None]
    if not known or (panel.curves == ("penalty",) and not any(known)):
        return None
    x = of_epochs([place for line in lines for place in line.x])
    y = _axis(panel, known)
    title = panel.title + (", log scale" if y.is_log else "")
    return Picture(title, chart(title, lines, x, y, "epoch" if in_epochs else "step"))


def _axis(panel: _Panel, known: Sequence[float]) -> Axis:
    if panel.is_loss:
        return of_losses(known)
    return linear(known, percent=panel.is_fraction, from_zero=not panel.is_fraction)


def _lines(panel: _Panel, view: RunView, in_epochs: bool) -> list[Line]:
    x = view.epochs if in_epochs else [float(step) for step in view.curves.steps]
    names = panel.curves if view.hue is not None else panel.curves[-1:]
    return [Line(f"{view.name}, {name.replace('_', ' ')}", x, view.curves.values[name], view.hue,
                 view.letter * (name == names[-1]), is_dashed=name.startswith("train")) for name in names]
