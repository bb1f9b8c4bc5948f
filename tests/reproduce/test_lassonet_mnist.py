"""Fifty pixels: chosen by their weights and by validation, judged by trees on the test part alone."""

from __future__ import annotations

import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.data import Dataset, Examples
from reglab.reproduce.lassonet_mnist import TO_REACH, LassoNetMNIST
from reglab.reproduce.registry import reproduction_of


def data_of(telling: int = 3) -> Dataset:
    """Sixteen inputs, of which the first few tell the class."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 180).astype(np.int32)
    x = rng.normal(size=(180, 16)).astype(np.float32)
    x[:, :telling] += 3 * y[:, None]
    parts = [Examples(x[of], y[of]) for of in np.split(np.arange(180), [100, 140])]
    return Dataset("told", *parts[:2], 2, (4, 4), 1.0, test=parts[2])


def test_validation_chooses_among_the_strengths_that_leave_enough_inputs() -> None:
    reproduction = LassoNetMNIST(pixels=3, strengths=(0.1, 0.2, 0.3), trees=10)
    norms = np.zeros((3, 16))
    norms[0, [7, 8, 9, 10]] = 1, 2, 3, 4
    norms[1, [0, 1, 2, 5]] = 2, 3, 4, 1
    norms[2, [0, 1]] = 1
    lane, pixels = reproduction._chosen(data_of(), norms, seed=0)
    assert lane == 1 and pixels.tolist() == [0, 1, 2]
    with pytest.raises(ConfigError, match="none of the strengths 0.1, 0.2, 0.3 leaves 3 pixels"):
        reproduction._chosen(data_of(), norms[2:], seed=0)


def test_the_verdict_is_on_the_whole_interval() -> None:
    scores = {name: [[0.1, 0.2], [0.1, 0.2]] for name in ("train", "validation", "test", "zeros", "small", "hidden")}
    found = {**scores, "inputs": [[0.5, 0.9], [0.5, 0.9]], "chosen": [1, 1], "pixels": [[], []], "of_all": [0.94, 0.95]}
    judged = [LassoNetMNIST().outcome({"choice": {**found, "accuracy": accuracy}})
              for accuracy in ([0.905, 0.906], [0.88, 0.93])]
    assert [outcome.passed for outcome in judged] == [True, False]
    assert judged[0].rows[0]["network"].mean == pytest.approx(80)
    assert judged[0].rows[0]["inputs"].mean == pytest.approx(78.4) and TO_REACH == 89.2


def test_only_what_needs_files_takes_a_folder_of_them() -> None:
    reproduction = reproduction_of("lassonet_mnist", "somewhere")
    assert isinstance(reproduction, LassoNetMNIST) and reproduction.data_dir == "somewhere"
    assert "data_dir" not in reproduction.settings, "another folder of the same files is the same reproduction"
    with pytest.raises(ConfigError, match="--data_dir=somewhere: mnist1d needs no files"):
        reproduction_of("mnist1d", "somewhere")
