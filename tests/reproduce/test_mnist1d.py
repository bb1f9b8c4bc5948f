"""MNIST-1D: the data are their authors', the verdict is about the peak, and choices are made on validation alone."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.reproduce.mnist1d import MNIST1D, PUBLISHED
from reglab.reproduce.mnist1d_data import mnist1d
from reglab.reproduce.statistics import lowest, mean_of


def test_the_data_are_those_of_the_generator_with_noise_in_the_training_labels_alone() -> None:
    from mnist1d.data import get_dataset_args, make_dataset

    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1]
    data = mnist1d(200, 100, 300, label_noise=0.135)
    assert random.getstate() == before[0] and np.array_equal(np.random.get_state()[1], before[1])
    arguments = get_dataset_args()
    arguments.num_samples, arguments.train_split = 600, 0.5
    made = make_dataset(arguments)
    assert data.test is not None and data.sizes == {"train": 200, "validation": 100, "test": 300}
    assert np.array_equal(data.test.x, made["x_test"].astype(np.float32))
    assert np.array_equal(data.validation.y, made["y"][200:])
    assert np.sum(data.train.y != made["y"][:200]) == 27


def test_without_the_package_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)
    with pytest.raises(ConfigError, match=r"pip install 'reglab\[mnist1d\]'"):
        mnist1d(20, 10, 30, label_noise=0.1)


def errors(none: dict[int, float], tuned: dict[int, float], spread: float = 0.001) -> dict[str, Any]:
    """What would be kept of trainings with these errors, of two strengths and three seeds."""
    rng = np.random.default_rng(0)
    return {f"width-{width:03}": {"test": [list(error[width] + spread * rng.permutation([-1, 0, 1]))
                                           for error in (none, tuned)],
                                  "validation": [[0.5] * 3, [0.4] * 3]} for width in none}


def test_the_published_curve_passes_and_one_without_a_peak_does_not() -> None:
    reproduction = MNIST1D(strengths=(0.0, 1e-3))
    published = {width: error / 100 for width, error in PUBLISHED.items()}
    flat = {width: 0.5 - width / 1000 for width in PUBLISHED}
    found = reproduction.outcome(errors(published, flat))
    assert found.passed and "has its peak at width 47 (published: 47)" in found.sentence
    assert [row["published"] for row in found.rows] == list(PUBLISHED.values())
    assert found.rows[0]["tuned"].mean == pytest.approx(49.8) and found.rows[0]["l2"] == "0.001"
    assert [criterion.passed for criterion in reproduction.outcome(errors(flat, flat)).criteria] == [
        False, True, False, False], "where there was no rise, none was flattened"
    assert not reproduction.outcome(errors(published, published)).passed
    assert not any(criterion.passed for criterion in reproduction.outcome(errors(published, flat, 1.0)).criteria), \
        "no claim holds whose interval has 0 in it"


def test_the_strength_is_chosen_by_validation_and_not_by_test() -> None:
    kept = errors(dict.fromkeys(PUBLISHED, 0.5), dict.fromkeys(PUBLISHED, 0.1))
    for part in kept.values():
        part["validation"] = [[0.4] * 3, [0.5] * 3]
    assert {row["l2"] for row in MNIST1D(strengths=(0.0, 1e-3)).outcome(kept).rows} == {"0"}


def test_rows_with_a_value_that_is_not_finite_come_last() -> None:
    assert lowest(np.array([[0.1, np.nan], [0.5, 0.6], [0.5, 0.4]])) == 2
    mean = mean_of(np.array([1.0, np.nan, 3.0]))
    assert mean.mean == 2 and mean.low == pytest.approx(2 - 12.706, abs=1e-3)
    assert mean_of(np.array([4.0])) == (4.0, None, None)
