"""What was found, as a table for people, as CSV and as a picture."""

from __future__ import annotations

import csv
import io
import math
import pathlib
import textwrap
from collections.abc import Mapping
from typing import Any

from reglab.reproduce.base import Interval, Outcome, Reproduction


def table(reproduction: Reproduction, result: Mapping[str, Any]) -> str:
    """Returns the rows of a `result` as text: means with the half-widths of their 95 % intervals."""
    lines = [list(reproduction.columns.values()),
             *([_shown(row[name]) for name in reproduction.columns] for row in result["rows"])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def csv_text(reproduction: Reproduction, outcome: Outcome) -> str:
    """Returns CSV with a line for each row; a column of intervals becomes three: mean, low and high."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    intervals = {name for row in outcome.rows for name, cell in row.items() if isinstance(cell, Interval)}
    lines.writerow([each for name in reproduction.columns for each in (
        (name, f"{name}_low", f"{name}_high") if name in intervals else (name,))])
    for row in outcome.rows:
        lines.writerow([each for name in reproduction.columns for each in (
            (row[name] or (None,) * 3) if name in intervals else (row[name],))])
    return out.getvalue()


def draw(reproduction: Reproduction, outcome: Outcome, verdict: Mapping[str, Any], directory: pathlib.Path) -> None:
    """Draws `reproduction.png` and `reproduction.svg`."""
    from reglab.lab.plots.style import figure

    width = 8.0
    with figure(directory, "reproduction", figsize=(width, 5.2)) as (drawing, axes):
        axis = axes[0, 0]
        reproduction.draw(outcome, axis)
        axis.set_ylabel(reproduction.metric)
        axis.legend()
        drawing.suptitle("\n".join([reproduction.title, *textwrap.wrap(verdict["text"], round(11 * width))]),
                         fontsize=11)


def verdict_text(verdict: Mapping[str, Any]) -> str:
    """Formats the verdict as lines for people."""
    marks = {True: "holds ", False: "MISSED"}
    return "\n".join([f"Verdict: {verdict['text']}",
                      *(f"  {marks[criterion['passed']]}  {criterion['text']}" for criterion in verdict["criteria"])])


def _shown(cell: Any) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Mapping):
        if cell["mean"] is None:
            return "diverged"
        return f"{cell['mean']:.2f}" + ("" if cell["low"] is None else f" ± {cell['high'] - cell['mean']:.2f}")
    return f"{cell:.2f}" if math.isfinite(cell) else "-"
