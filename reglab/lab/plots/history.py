"""Draws a single run: data loss and accuracy of both splits, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from reglab.console.format import scores_text
from reglab.lab.plots.style import BLUE, curve_style, drawing_board, rendered
from reglab.run.evaluation import Evaluation

_PANELS: Final = (("data_loss", "data loss (nats)", 1.0), ("accuracy", "accuracy (%)", 100.0))


def history_picture(evaluations: Sequence[Evaluation]) -> Any:
    """Returns a matplotlib Figure, which a notebook shows; a split without examples has no curve."""
    epochs = [one.epoch for one in evaluations]
    with drawing_board(figsize=(9, 3.8), nrows=1, ncols=2) as (drawing, axes):
        for axis, (name, label, scale) in zip(axes[0], _PANELS, strict=True):
            for split in ("train", "validation"):
                values = scale * np.array([getattr(one, split)[name] for one in evaluations])
                if not np.isnan(values).all():
                    axis.plot(epochs, values, marker="o" if len(epochs) == 1 else None, **curve_style(split, BLUE))
            axis.set_xlabel("epoch")
            axis.set_ylabel(label)
            axis.legend()
        drawing.suptitle(f"epoch {epochs[-1]}: training {scores_text(evaluations[-1].train)}; "
                         f"validation {scores_text(evaluations[-1].validation)}", fontsize=11)
        picture = rendered(drawing, "png")
    drawing._repr_png_ = lambda: picture  # Notebooks ask for it where pyplot, which they know, was not imported.
    return drawing
