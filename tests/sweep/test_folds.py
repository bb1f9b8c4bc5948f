"""Every example but those of the test part is held out exactly once."""

from __future__ import annotations

import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.data import Dataset
from reglab.sweep.folds import fold_dataset, fold_of_examples


@pytest.mark.parametrize(("size", "folds"), [(53, 5), (50, 5), (7, 7), (20, 2)])
def test_folds_are_stratified_and_of_nearly_equal_size(size: int, folds: int) -> None:
    y = np.random.default_rng(0).integers(0, 3, size).astype(np.int32)
    numbers = fold_of_examples(y, folds, seed=1)
    sizes = np.bincount(numbers, minlength=folds)
    assert sizes.sum() == size
    assert np.ptp(sizes) == (size % folds > 0)
    for label in range(3):
        assert np.ptp(np.bincount(numbers[y == label], minlength=folds)) <= 1


def test_the_seed_decides_who_is_in_which_fold() -> None:
    y = np.zeros(40, np.int32)
    assert (fold_of_examples(y, 4, seed=1) == fold_of_examples(y, 4, seed=1)).all()
    assert (fold_of_examples(y, 4, seed=1) != fold_of_examples(y, 4, seed=2)).any()


def test_every_example_is_held_out_once_and_else_trained_on(dataset: Dataset) -> None:
    folds = [fold_dataset(dataset, 5, k, seed=0) for k in range(5)]
    everything = sorted(map(bytes, np.concatenate([dataset.train.x, dataset.validation.x])))
    assert sorted(bytes(x) for fold in folds for x in fold.validation.x) == everything
    for fold in folds:
        assert fold.test is None
        assert sorted(map(bytes, np.concatenate([fold.train.x, fold.validation.x]))) == everything


def test_more_folds_than_examples_are_refused(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="^--folds=74: made has 73 training and validation examples"):
        fold_dataset(dataset, 74, 0, seed=0)
