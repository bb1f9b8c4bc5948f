"""Charts as SVG: where points are drawn, what tells lines apart, and that odd numbers break nothing."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest

from reglab.report.axes import linear
from reglab.report.charts import HUES, MARKS, Line, Spot, chart, key_mark

X, Y = linear([0.0, 4.0]), linear([0.0, 1.0])


def drawn(*lines: Line, spots: tuple[Spot, ...] = ()) -> ET.Element:
    return ET.fromstring(chart("a <title> & more", lines, X, Y, "epoch", spots))


def places(path: str) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)]


def test_points_are_where_they_belong_and_gaps_stay_gaps() -> None:
    root = drawn(Line("x", [0.0, 2.0, 3.0, 4.0], [0.0, 1.0, None, 0.5], 0, "A"))
    path = next(each.attrib["d"] for each in root.iter("path") if each.attrib["class"] == "h0 l")
    (left, bottom), (middle, top), (right, half) = places(path)
    assert path.count("M") == 2 and path.count("L") == 1
    assert middle == pytest.approx((left + right) / 2, abs=0.1) and half == pytest.approx((top + bottom) / 2, abs=0.1)
    assert top < bottom and root.attrib["aria-label"] == "a <title> & more"


def test_lines_are_told_apart_without_color() -> None:
    assert len(set(MARKS)) == HUES
    root = drawn(Line("x", [0.0, 4.0], [0.2, 0.5], 0, "A", is_dashed=True), Line("y", [0.0, 4.0], [0.2, 0.5], 1, "B"),
                 Line("z", [0.0, 4.0], [0.2, 0.5]))
    texts = [(float(each.attrib["y"]), each.text) for each in root.iter("text") if each.text in ("A", "B")]
    assert abs(texts[0][0] - texts[1][0]) >= 12, "letters do not lie on each other"
    classes = [each.attrib["class"] for each in root.iter("path")]
    assert "h0 l d" in classes and "h1 l" in classes and "other l" in classes and "h1 m" in classes
    assert "other m" not in classes


def test_intervals_are_bands_or_bars() -> None:
    line = Line("x", [0.0, 2.0, 4.0], [0.5, 0.5, 0.5], 0, low=[0.4, None, 0.3], high=[0.6, 0.7, 0.8])
    band = next(each for each in drawn(line).iter("path") if each.attrib["class"] == "h0 i")
    assert len(places(band.attrib["d"])) == 4
    bars = next(each for each in drawn(line._replace(bars=True)).iter("path") if each.attrib["class"] == "h0 b")
    assert bars.attrib["d"].count("V") == 2


@pytest.mark.parametrize("y", [[None, None, None], [1e308, -1e308, 0.5], [0.5] * 3, [1e-320] * 3])
def test_odd_numbers_stay_in_the_picture(y: list[float | None]) -> None:
    root = drawn(Line("x", [0.0, 1.0, 2.0], y, 0, "A", low=y, high=y), spots=(Spot("best", 1.0, 0.5, True),
                                                                              Spot("se", 9e9, math.pi, False)))
    for path in root.iter("path"):
        if path.attrib["class"] in ("h0 l", "h0 i"):
            assert all(-10 <= down <= 260 for _, down in places(path.attrib["d"]))


def test_long_curves_are_thinned_and_end_where_they_end() -> None:
    x = [4 * at / 99_999 for at in range(100_000)]
    text = chart("t", [Line("x", x, [0.5] * 100_000, 0, "A")], X, Y, "epoch")
    assert len(text) < 10_000
    assert places(re.findall(r'class="h0 l" d="([^"]+)"', text)[0])[-1][0] == pytest.approx(378)


def test_the_key() -> None:
    assert "h2 m" in key_mark(2) and " m" not in key_mark(None) and "other l d" in key_mark(None, is_dashed=True)
    ET.fromstring(key_mark(0))
