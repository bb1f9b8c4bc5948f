"""The four penalties on the digits: what is compared, what is counted, and what decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reglab.reproduce.scardapane2017 import PENALTIES, STRENGTH, Scardapane2017

SCORES = ("train", "validation", "test", "zeros", "small", "inputs", "hidden")


def kept(test: float, zeros: list[float], hidden: list[float], spread: float = 0.001) -> dict[str, Any]:
    """What would be kept of three seeds: the same test error of all penalties, and a share of zeros for each."""
    around = spread * np.array([-1, 0, 1])
    same = {name: [[test, test, test]] * len(PENALTIES) for name in SCORES}
    return {**same, "test": [list(test + around)] * len(PENALTIES), "zeros": [[share] * 3 for share in zeros],
            "hidden": [[share] * 3 for share in hidden]}


def test_accuracy_zeros_and_units_decide() -> None:
    subgradient = kept(0.05, [0.0] * 4, [0.0] * 4)
    proximal = kept(0.05, [0.0, 0.6, 0.4, 0.6], [0.0, 0.1, 0.2, 0.4])
    found = Scardapane2017().outcome({"subgradient": subgradient, "proximal": proximal})
    assert found.passed and len(found.criteria) == 6
    assert [row["label"] for row in found.rows] == ["L2", "L1", "group lasso", "sparse group lasso"]
    assert found.rows[1]["zeros"].mean == pytest.approx(60) and found.rows[3]["hidden"].mean == pytest.approx(40)
    assert found.rows[0]["proximal"].mean == pytest.approx(95)
    worse = kept(0.06, [0.0, 0.4, 0.4, 0.6], [0.0, 0.1, 0.2, 0.2])
    missed = Scardapane2017().outcome({"subgradient": subgradient, "proximal": worse})
    assert not any(criterion.passed for criterion in missed.criteria), "a point of accuracy, zeros, and units"


def test_the_terms_are_those_of_the_publication() -> None:
    assert PENALTIES["sparse group lasso"] == ("l1", "group_l1") and pytest.approx(3.1623e-4, rel=1e-4) == STRENGTH
    assert Scardapane2017.seeds == 25 and Scardapane2017().settings["hidden"] == [40, 20]


def test_proximal_lanes_have_exact_zeros_and_those_by_subgradient_have_none() -> None:
    from reglab.console import Console
    from reglab.reproduce.base import Job

    reproduction = Scardapane2017(hidden=(4,), epochs=3, train_size=40)
    data = reproduction.data()
    steps: list[tuple[int, int]] = []
    job = Job(range(2), Console(), lambda step, total: steps.append((step, total)))
    found = {part: reproduction.train(part, data, job) for part in reproduction.parts}
    assert steps[-1] == (3, 3)
    dead = float(np.mean((data.train.x == 0).all(0)))
    of_l1 = np.array(found["proximal"]["zeros"][1])
    assert np.shape(found["proximal"]["zeros"]) == (4, 2) and (of_l1 > 0).all() and dead > 0
    assert (np.array(found["subgradient"]["zeros"])[1:] < of_l1.min()).all()
    assert {name: np.shape(values) for name, values in found["subgradient"].items()} == dict.fromkeys(SCORES, (4, 2))
