"""The look of all pictures, and how they are saved."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from reglab.config.strengths import Strength, in_words
from reglab.storage.files import write_atomically

# Colors of Okabe and Ito's palette; line styles and markers differ too, for print in black and white. Hues distinguish
# runs, and the two curves of one run share a hue.
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
ORANGE: Final = "#E69F00"
GREY: Final = "#444444"
HUES: Final = (GREY, BLUE, GREEN, VERMILION, PURPLE, ORANGE)
GAP_FILL: Final[dict[str, Any]] = {"color": "0.5", "alpha": 0.35, "linewidth": 0, "label": "gap: worse on validation"}
NEGATIVE_GAP_FILL: Final[dict[str, Any]] = {"facecolor": "none", "edgecolor": "0.8", "hatch": "///", "linewidth": 0,
                                            "label": "worse on training"}
BEST: Final[dict[str, Any]] = {"marker": "*", "markersize": 19, "markerfacecolor": ORANGE, "markeredgecolor": "black"}
ONE_SE: Final[dict[str, Any]] = {"marker": "D", "markersize": 7, "markerfacecolor": "white",
                                 "markeredgecolor": "black", "markeredgewidth": 1.5}
STOP: Final[dict[str, Any]] = {"marker": "^", "markersize": 8, "markerfacecolor": "white", "linestyle": "none"}

_SETTINGS: Final = {
    "font.size": 11, "axes.titlesize": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "0.9", "axes.axisbelow": True, "lines.linewidth": 1.8, "figure.dpi": 100, "savefig.dpi": 150,
    "svg.fonttype": "none", "svg.hashsalt": "reglab", "legend.frameon": False, "path.simplify": False,
}


@contextlib.contextmanager
def drawing_board(**of_subplots: Any) -> Iterator[tuple[Any, Any]]:
    """Yields a figure and axes [rows, columns] to draw on, in the look of all pictures."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_SETTINGS, "backend": matplotlib.rcParams["backend"]}):
        drawing = Figure(figsize=of_subplots.pop("figsize"), layout="constrained")
        FigureCanvasAgg(drawing)
        yield drawing, drawing.subplots(squeeze=False, **of_subplots)


@contextlib.contextmanager
def figure(directory: str | os.PathLike[str], name: str, **of_subplots: Any) -> Iterator[tuple[Any, Any]]:
    """Yields a figure and axes [rows, columns] to draw on; saves them as `name`.png and `name`.svg at the end."""
    with drawing_board(**of_subplots) as (drawing, axes):
        yield drawing, axes
        for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            write_atomically(pathlib.Path(directory) / f"{name}.{suffix}", rendered(drawing, suffix, metadata))


def rendered(drawing: Any, suffix: str, metadata: Mapping[str, Any] | None = None) -> bytes:
    """Returns a figure as the contents of a file."""
    picture = io.BytesIO()
    drawing.savefig(picture, format=suffix, metadata=metadata)
    return picture.getvalue()


def curve_style(split: str, color: str) -> dict[str, Any]:
    """Returns the style of the "train" or "validation" curve of a run of a color: training is paler and dashed."""
    from matplotlib.colors import to_rgb

    if split == "validation":
        return {"color": color, "linestyle": "-", "label": "validation"}
    pale = tuple(1 - 0.55 * (1 - channel) for channel in to_rgb(color))
    return {"color": pale, "linestyle": "--", "label": "training"}


def finding(result: Mapping[str, Any], width: float) -> str:
    """Returns the finding as the first lines of the title of a picture `width` inches wide."""
    return textwrap.fill(result["findings"]["title"], round(11 * width))


def numbers(values: Sequence[float | None]) -> np.ndarray:
    """Returns numbers from JSON as an array; null, written for a number not finite, becomes NaN."""
    return np.array([np.nan if value is None else value for value in values], float)


def strength(value: Strength) -> str:
    """Returns a strength in few characters: `0`, `0.1`, `1e-3`, `3.2e-5`; or those of the layers it names."""
    if isinstance(value, str):
        return in_words(value)
    if value == 0 or 0.1 <= value < 1000:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def places(values: Sequence[float]) -> tuple[np.ndarray, list[float], list[str]]:
    """Returns the places of ascending strengths on a log axis with a 0, and places and labels of at most nine ticks.

    0 is one step to the left of the smallest positive strength.
    """
    positive = [np.log10(value) for value in values if value > 0]
    step = (positive[-1] - positive[0]) / (len(positive) - 1) if len(positive) > 1 else 1.0
    x = np.array([np.log10(value) if value > 0 else (positive[0] - step if positive else 0.0) for value in values])
    shown = sorted({*range(0, len(values), -(-len(values) // 9))})
    return x, [float(x[k]) for k in shown], [strength(values[k]) for k in shown]
