"""A comparison as a table for people, 89 characters wide except for large norms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from reglab.compare.arms import Metric, metrics_of
from reglab.config.strengths import in_words
from reglab.console.format import number
from reglab.core import penalties
from reglab.lab import savings
from reglab.lab.lane_blowups import describe
from reglab.lab.seeds import over

_LABEL_WIDTH: Final = 29
_ARM_WIDTH: Final = 15


def table(result: Mapping[str, Any]) -> str:
    """Makes both tables of `compare.json`'s contents: the means, and the paired differences to the first arm."""
    arms, seeds = result["arms"], len(result["seeds"])
    several, metrics = seeds > 1, metrics_of(arms[0]["final"])
    lines = [_line("", [arm["title"] for arm in arms]),
             *(_line(f"  {name}", [in_words(arm[name]) for arm in arms]) for name in penalties.names()
               if name in arms[0]),
             f"Mean over {over(result['vary'], seeds)}, +- {100 * result['confidence']:.0f} % interval" if several else
             "One seed"]
    for name, metric in metrics.items():
        lines.append(_line(_label(metric), _cells([arm["final"][name] for arm in arms], metric.scale)))
    lines.append(f"Difference to {arms[0]['title']}" + (", paired by seed" if several else ""))
    for name, metric in metrics.items():
        cells = _cells([arm["difference"][name] for arm in arms[1:]], metric.scale, sign="+")
        lines.append(_line(_label(metric).replace(", %", ", points"), ["", *cells]))
    if result["config"]["label_noise"]:
        lines.append("Training loss and accuracy are on the noisy labels; the validation labels are clean.")
    if (ended := result.get("early_stopping")) is not None:
        lines.append(savings.sentence(ended, ended["place_steps"]))
    return "\n".join(lines + [f"{arm['title']}: {arm['diverged']} of {seeds} seeds diverged, left out of its means"
                              for arm in arms if arm["diverged"]]
                     + describe(result.get("nonfinite", []), len(arms) * seeds))


def _label(metric: Metric) -> str:
    return f"  {metric.title}" + (f", {metric.unit}" if metric.unit else "")


def _line(label: str, cells: list[str]) -> str:
    return (label.ljust(_LABEL_WIDTH) + "".join(cell.rjust(_ARM_WIDTH) for cell in cells)).rstrip()


def _cells(intervals: list[Mapping[str, float | None]], scale: float, sign: str = "") -> list[str]:
    """`76.3 +-0.4`: decimals that give the widest interval two digits, at most three; without one, four digits.

    An interval that ends where fractions do is uneven: `99.8 -0.4+0.2`.
    """
    widest = max((scale * max(_halves(entry)) for entry in intervals), default=0.0)
    decimals = min(max(1 - math.floor(math.log10(widest)), 0), 3) if widest > 1e-9 else 2
    return [_cell(entry, scale, decimals, sign) for entry in intervals]


def _halves(entry: Mapping[str, float | None]) -> tuple[float, float]:
    mean, low, high = (entry[key] for key in ("mean", "low", "high"))
    return (0.0, 0.0) if mean is None or low is None or high is None else (mean - low, high - mean)


def _cell(entry: Mapping[str, float | None], scale: float, decimals: int, sign: str) -> str:
    mean = entry["mean"]
    if mean is None:
        return "diverged"
    if entry["high"] is None:
        return number(scale * mean, sign=sign)
    below, above = (scale * half for half in _halves(entry))
    if math.isclose(below, above, rel_tol=1e-3, abs_tol=1e-9):
        return f"{scale * mean:{sign}.{decimals}f} +-{above:.{decimals}f}"
    decimals = min(decimals, 1)  # An uneven interval takes more room.
    return f"{scale * mean:{sign}.{decimals}f} -{below:.{decimals}f}+{above:.{decimals}f}"
