"""Proximal descent reaches scikit-learn's optimum, zeros included; `python -m tests.oracle` is the whole of it."""

from __future__ import annotations

import pytest

from reglab.config import Config
from reglab.engine.assembly import load_dataset
from tests.oracle import Verdict, verdicts

CASES = ((1e-2, 0.0), (0.0, 1e-2), (1e-2, 1e-2))


@pytest.fixture(scope="module")
def found() -> list[Verdict]:
    return list(verdicts(load_dataset(Config(train_size=200)), CASES, steps=2500, rate=0.3))


@pytest.mark.parametrize("at", range(len(CASES)))
def test_the_optimum_is_that_of_scikit_learn_with_the_same_zeros(found: list[Verdict], at: int) -> None:
    assert abs(found[at].ours - found[at].theirs) <= 1e-6 and found[at].other_support == 0
    assert found[at].zeros > 300 or not CASES[at][0]
