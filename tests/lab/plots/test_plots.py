"""The pictures: whole files, the words that belong on them, the same bytes every time."""

from __future__ import annotations

import pathlib
import struct
import xml.etree.ElementTree
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from reglab.lab.plots import compare_picture, path_picture, sweep_pictures
from reglab.lab.plots import sweep as sweep_plots
from reglab.lab.plots.style import HUES, curve_style, places, strength

METRICS = ("train_accuracy", "validation_accuracy", "train_data_loss", "validation_data_loss")
FINDINGS = {"title": "What was found", "over": "3 seeds on one split"}
SWEEP_TEXTS = ("What was found", "accuracy (%)", "data loss (nats)", "nonzero kernel entries",
               "L1 strength (nats per |w|)",
               "best", "strongest within one standard error", "learning rate 0.001, penalized: all")


def comparison(seeds: int = 3, diverged: bool = False) -> dict[str, Any]:
    def curve(low: float | None) -> dict[str, Any]:
        return {"mean": [0.5, None if diverged else 0.75], "low": [low, low], "high": [low, low]}

    arms = [{"name": name, "title": title, "l1": l1, "l2": 0.0,
             "curves": {metric: curve(0.5 if seeds > 1 else None) for metric in METRICS}}
            for name, title, l1 in (("none", "no penalty", 0.0), ("l1", "L1 alone", 1e-3))]
    return {"dataset": "digits: some", "config": {"label_noise": 0.25}, "seeds": list(range(seeds)),
            "confidence": 0.95, "epochs": [1, 2], "arms": arms, "findings": FINDINGS}


def figure(mean: float | None, se: float | None = 0.125) -> dict[str, float | None]:
    return {"mean": mean, "se": se}


def point(l1: float, l2: float, loss: float | None = 0.5, se: float | None = 0.125) -> dict[str, Any]:
    split = {"data_loss": figure(loss, se), "accuracy": figure(None if loss is None else 1 - loss, se)}
    return {"l1": l1, "l2": l2, "learning_rate": 1e-3, "penalize": "all", "validation": split, "train": split,
            "nonzero": figure(100.0)}


def sweep(points: list[dict[str, Any]], best: int | None = 1, chosen: int | None = 2,
          selection: str = "data_loss") -> dict[str, Any]:
    return {"points": points, "best": best, "one_standard_error": chosen, "selection": selection,
            "sparsity_threshold": 1e-3, "findings": FINDINGS}


GRID = [point(l1, l2) for l2 in (0.0, 1e-4) for l1 in (0.0, 1e-4, 1e-3)]
PATH = {"findings": FINDINGS, "along": "l1", "seeds": 2, "config": {"learning_rate": 1e-3, "penalize": "all"},
        "sparsity_threshold": 1e-3, "best": 0, "one_standard_error": 1,
        "points": [{**point(l1, 0), "warm_steps": 400, "total_steps": total, "settled": settled, "warm_diverged": 0,
                    **{which: {**point(l1, 0), "objective": figure(0.75)} for which in ("warm", "cold")}}
                   for l1, total, settled in ((1e-4, 400, 1), (1e-3, 800, 2))]}
PICTURES: Mapping[str, tuple[Callable[..., None], Any, set[str], tuple[str, ...]]] = {
    "compare": (compare_picture, comparison(), {"compare"}, (
        "no penalty", "l1 = 1e-3, l2 = 0", "training", "validation", "epoch", "accuracy (%)", "data loss (nats)",
        "digits: some, 25 % of the training labels changed", "mean over 3 seeds on one split, bands are 95 % intervals",
        "What was found")),
    "compare, one seed": (compare_picture, comparison(1), {"compare"}, ("one seed",)),
    "compare, diverged": (compare_picture, comparison(diverged=True), {"compare"}, ("diverged",)),
    "sweep": (sweep_pictures, sweep(GRID), {"heatmap", "path"}, (
        *SWEEP_TEXTS, "L2 strength (nats per w²)", "±0.125",
        "validation data loss, mean ± one standard error over 3 seeds on one split",
        "bars are ± one standard error over 3 seeds on one split", "above the lowest data loss (nats)",
        "one standard error from the best")),
    "sweep, by accuracy": (sweep_pictures, sweep(GRID, 1, 4, "accuracy"), {"heatmap", "path"}, (
        *SWEEP_TEXTS, "l2 = 0", "l2 = 1e-4")),
    "sweep, one seed": (sweep_pictures, sweep([point(0, 0, se=None), point(1e-3, 0, se=None)], 1, None),
                        {"heatmap", "path"}, ("best", "validation data loss", "0.500")),
    "sweep, one point": (sweep_pictures, sweep([point(0, 0)], 0, 0), {"heatmap", "path"}, SWEEP_TEXTS),
    "sweep, a ruinous penalty": (sweep_pictures, sweep([point(0, 0, 0.1, 0.01), point(1e-3, 0, 0.2, 0.01),
                                                        point(1e-2, 0, 2.0, 0.01)]), {"heatmap", "path"},
                                 ("\n0.2\n", "\n0.5\n", "\n1\n")),  # A logarithmic axis.
    "sweep, a lane diverged": (sweep_pictures, sweep([*GRID[:5], point(1e-3, 1e-4, None, None)]), {"heatmap", "path"},
                               ("diverged",)),
    "sweep, all diverged": (sweep_pictures, sweep([point(0, 0, None)], None, None), set(), ()),
    "path": (path_picture, PATH, {"path"}, (
        "accuracy (%)", "validation, cold start", "cold start, after the same steps",
        "warm start, after the same steps", "steps of the warm", "settled", "had not settled",
        "best", "strongest within one standard error",
        "L1 strength (nats per |w|)", "What was found", "cold starts, purple: all of 800 steps",
        "bars are ± one standard error over 3 seeds on one split")),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_png_and_an_svg_with_its_words(name: str, tmp_path: pathlib.Path) -> None:
    draw, content, names, texts = PICTURES[name]
    draw(content, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{stem}.{kind}" for stem in names for kind in ("png", "svg")}
    words = ""
    for stem in names:
        png = (tmp_path / f"{stem}.png").read_bytes()
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        assert png.endswith(b"IEND\xaeB`\x82")
        assert min(struct.unpack(">II", png[16:24])) > 400
        tree = xml.etree.ElementTree.parse(tmp_path / f"{stem}.svg")
        words += "\n".join("".join(element.itertext()) for element in tree.iter("{http://www.w3.org/2000/svg}text"))
    for text in texts:
        assert text in words


@pytest.mark.parametrize("name", ["compare", "sweep", "path"])
def test_a_picture_is_the_same_bytes_every_time(name: str, tmp_path: pathlib.Path) -> None:
    draw, content, _, _ = PICTURES[name]
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        draw(content, folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        assert b"<dc:date>" not in path.read_bytes()


def test_drawing_leaves_the_users_settings_alone(tmp_path: pathlib.Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 33.0}):
        before = dict(matplotlib.rcParams)
        compare_picture(comparison(), tmp_path / "..")
        assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (0.001, "1e-3"), (3.16e-5, "3.2e-5"), (0.25, "0.25"),
                                             (10.0, "10"), (2e4, "2e4")])
def test_a_strength_is_shown_in_few_characters(value: float, text: str) -> None:
    assert strength(value) == text


def test_zero_stands_one_step_left_of_the_smallest_strength() -> None:
    x, ticks, labels = places([0, 1e-4, 1e-3, 1e-2])
    assert x == pytest.approx([-5, -4, -3, -2])
    assert (ticks, labels) == (pytest.approx(list(x)), ["0", "1e-4", "1e-3", "1e-2"])
    assert len(places([10.0**-k for k in range(30, 0, -1)])[1]) <= 9


def test_the_two_curves_of_a_run_share_a_hue() -> None:
    import colorsys

    from matplotlib.colors import to_rgb

    for color in HUES[1:]:
        hues = [colorsys.rgb_to_hsv(*to_rgb(curve_style(split, color)["color"]))[0]
                for split in ("train", "validation")]
        assert hues[0] == pytest.approx(hues[1])
        assert curve_style("train", color)["linestyle"] != curve_style("validation", color)["linestyle"]


def test_the_map_resolves_what_is_near_the_best() -> None:
    """Losses one standard error apart near the lowest, and one that a penalty ruined: each has a color of its own."""
    losses = np.array([0.1384, 0.1394, 0.1404, 0.1424, 2.3])
    resolution = sweep_plots._resolution(point(0, 0, 0.1384, 0.001), losses - losses.min())
    colors = sweep_plots._norm(resolution, losses - losses.min())(losses - losses.min())
    assert np.diff(colors).min() > 0.05
    assert sweep_plots._cell_text(point(0, 0, 0.1384, 0.001), 0.1384, resolution) == "0.1384\n±0.0010"
    assert sweep_plots._ticks(resolution, 2.1616)[0] == 0
    assert len(sweep_plots._ticks(1e-9, 1.0)) <= 8
