"""Line charts as SVG. Colors are the page's, so that they suit light and dark; marks and dashes tell lines apart too.

Every line has a mark and, at its end, a letter; training is dashed, validation is not.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Final, NamedTuple

from reglab.report.axes import Axis

HUES: Final = 6
"""How many lines have a color of their own; further ones are grey."""
MARKS: Final = ("M0-4A4 4 0 1 0 0 4A4 4 0 1 0 0-4Z", "M-3.6-3.6H3.6V3.6H-3.6Z", "M0-4.6L4.4 3.4H-4.4Z",
                "M0-5L4 0 0 5-4 0Z", "M0 4.6L4.4-3.4H-4.4Z", "M-4-1.4H-1.4V-4H1.4V-1.4H4V1.4H1.4V4H-1.4V1.4H-4Z")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 400, 250, 46, 22, 10, 36
_MOST_POINTS: Final = 300
_MOST_MARKS: Final = 7
_APART: Final = 12


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
      name: its name, shown where the pointer rests on it.
      x, y: its points; None where there is a gap.
      hue: the number of its color and mark, or None for grey.
      letter: shown at its end.
      is_dashed: whether it is dashed, as training is.
      low, high: the ends of an interval around each point, drawn as a band or, with `bars`, as bars.
      bars: whether the points are few and each has its interval and its mark.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    hue: int | None = None
    letter: str = ""
    is_dashed: bool = False
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    bars: bool = False


class Spot(NamedTuple):
    """A point to be marked: a star, or a diamond, with a name."""

    name: str
    x: float
    y: float
    is_star: bool


def chart(title: str, lines: Sequence[Line], x: Axis, y: Axis, x_label: str, spots: Sequence[Spot] = ()) -> str:
    """Draws lines over two axes.

    Args:
      title: what it shows, for those who cannot see it.
    """
    plot = _Plot(x, y)
    grey = [line for line in lines if line.hue is None]
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">',
             plot.frame(x_label)]
    parts += [plot.line(line) for line in [*grey, *(line for line in lines if line.hue is not None)]]
    parts += [plot.letters([line for line in lines if line.letter]), *map(plot.spot, spots), "</svg>"]
    return "".join(parts)


def key_mark(hue: int | None, is_dashed: bool = False) -> str:
    """Draws the mark of a line for the key of a chart."""
    color = _color(hue)
    mark = "" if hue is None or is_dashed else _mark(hue, 14, 7)
    line = f'<path class="{color} l{" d" * is_dashed}" d="M1 7H27"/>'
    return f'<svg class="key" viewBox="0 0 28 14" aria-hidden="true">{line}{mark}</svg>'


class _Plot:
    """Draws on the area within the axes."""

    def __init__(self, x: Axis, y: Axis) -> None:
        self._x, self._y = x, y

    def frame(self, x_label: str) -> str:
        """Draws the grid, the names of its lines, and the label of the x axis."""
        parts = []
        for value, name in self._y.ticks:
            at = self._down(value)
            if at is not None:
                parts.append(f'<path class="g" d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}"/>'
                             f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" class="e">{html.escape(name)}</text>')
        for value, name in self._x.ticks:
            across = self._across(value)
            if across is not None:
                parts.append(f'<text x="{across:.1f}" y="{_HEIGHT - _BOTTOM + 16}" class="c">{html.escape(name)}'
                             "</text>")
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        return "".join([*parts, f'<text x="{middle:.0f}" y="{_HEIGHT - 4}" class="c q">{html.escape(x_label)}</text>'])

    def line(self, line: Line) -> str:
        """Draws a line with its interval and marks."""
        places = [(self._across(a), None if b is None else self._down(b)) for a, b in
                  zip(line.x, line.y, strict=True)]
        known = [(a, b) for a, b in places if a is not None and b is not None]
        if not known:
            return ""
        color = _color(line.hue)
        dashed, title = " d" if line.is_dashed else "", f"<title>{html.escape(line.name)}</title>"
        path = f'<path class="{color} l{dashed}" d="{_path(_thinned(places))}">{title}</path>'
        every = 1 if line.bars else max(1, -(-len(known) // _MOST_MARKS))
        marked = known[every - 1::every] or known[-1:] if not line.is_dashed or line.bars or len(known) == 1 else []
        marks = "" if line.hue is None else "".join(_mark(line.hue, a, b) for a, b in marked)
        return f"<g>{self._interval(line, color)}{path}{marks}</g>"

    def letters(self, lines: Sequence[Line]) -> str:
        """Writes the letter of each line at its end, moved apart where they would lie on each other."""
        ends = []
        for line in lines:
            known = [(a, down) for a, b in zip(line.x, line.y, strict=True)
                     if b is not None and (down := self._down(b)) is not None]
            if known:
                ends.append((known[-1][1], self._across(known[-1][0]) or 0.0, line))
        ends.sort(key=lambda end: end[0])
        parts, last = [], -1e9
        lowest = _HEIGHT - _BOTTOM - _APART * (len(ends) - 1)
        for at, (down, across, line) in enumerate(ends):
            last = max(min(down, lowest + _APART * at), last + _APART)
            parts.append(f'<text x="{across + 7:.1f}" y="{last + 4:.1f}" class="{_color(line.hue)} t">'
                         f"{html.escape(line.letter)}</text>")
        return "".join(parts)

    def spot(self, spot: Spot) -> str:
        """Draws a star or a diamond."""
        across, down = self._across(spot.x), self._down(spot.y)
        if across is None or down is None:
            return ""
        shape = ("M0-9L2.6-2.9 9-2.6 4 1.6 5.6 8 0 4.4-5.6 8-4 1.6-9-2.6-2.6-2.9Z" if spot.is_star else
                 "M0-6L5 0 0 6-5 0Z")
        return (f'<path class="{"star" if spot.is_star else "diamond"}" transform="translate({across:.1f} {down:.1f})" '
                f'd="{shape}"><title>{html.escape(spot.name)}</title></path>')

    def _interval(self, line: Line, color: str) -> str:
        if line.low is None or line.high is None:
            return ""
        ends = [(self._across(a), None if b is None else self._down(b), None if c is None else self._down(c))
                for a, b, c in zip(line.x, line.low, line.high, strict=True)]
        known = [(a, b, c) for a, b, c in ends if a is not None and b is not None and c is not None]
        if line.bars:
            bars = "".join(f"M{a:.1f} {b:.1f}V{c:.1f}" for a, b, c in known)
            return f'<path class="{color} b" d="{bars}"/>' if bars else ""
        there, back = [f"{a:.1f} {b:.1f}" for a, b, _ in known], [f"{a:.1f} {c:.1f}" for a, _, c in reversed(known)]
        return f'<path class="{color} i" d="M{"L".join([*there, *back])}Z"/>' if len(known) > 1 else ""

    def _across(self, value: float) -> float | None:
        share = self._x.share(value)
        return None if share is None else _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def _down(self, value: float) -> float | None:
        share = self._y.share(value)
        return None if share is None else _HEIGHT - _BOTTOM - min(max(share, -0.02), 1.04) * (_HEIGHT - _TOP - _BOTTOM)


def _mark(hue: int, across: float, down: float) -> str:
    return f'<path class="{_color(hue)} m" transform="translate({across:.1f} {down:.1f})" d="{MARKS[hue]}"/>'


def _color(hue: int | None) -> str:
    return "other" if hue is None else f"h{hue}"


def _thinned(places: Sequence[tuple[float | None, float | None]]) -> Sequence[tuple[float | None, float | None]]:
    every = max(1, -(-len(places) // _MOST_POINTS))
    return [*places[:-1:every], *places[-1:]]


def _path(places: Sequence[tuple[float | None, float | None]]) -> str:
    parts, is_open = [], False
    for a, b in places:
        if a is None or b is None:
            is_open = False
            continue
        parts.append(f"{'L' if is_open else 'M'}{a:.1f} {b:.1f}")
        is_open = True
    return "".join(parts)
