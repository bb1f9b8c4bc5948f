"""Cross-validation: deals all examples but the test part out to folds, each of which is held out once."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from reglab.data import Dataset, Examples
from reglab.data.randomness import Purpose, permutation
from reglab.sweep.options import check_folds


def fold_of_examples(y: npt.NDArray[np.int32], folds: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Returns [n] the fold, 0 … folds−1, in which each example is held out.

    Examples are shuffled, sorted by class and dealt out like cards, so that the sizes of folds differ by at most one,
    and so do their numbers of examples of any class.
    """
    order = permutation(seed, Purpose.FOLDS, len(y))
    dealt = order[np.argsort(y[order], kind="stable")]
    numbers = np.empty(len(y), np.int64)
    numbers[dealt] = np.arange(len(y)) % folds
    return numbers


def fold_sizes(examples: int, folds: int) -> list[int]:
    """Returns how many examples each fold holds out."""
    return [examples // folds + (fold < examples % folds) for fold in range(folds)]


def fold_dataset(dataset: Dataset, folds: int, held_out: int, *, seed: int) -> Dataset:
    """Returns the data of one fold: its examples for validation, the others for training, in their order; no test part.

    Folds are made of the training and validation parts together. With label noise, examples of the training part keep
    it when they are held out.

    Raises:
      ConfigError: there are fewer examples than folds.
    """
    check_folds(folds, dataset)
    both = Examples(np.concatenate([dataset.train.x, dataset.validation.x]),
                    np.concatenate([dataset.train.y, dataset.validation.y]))
    is_held_out = fold_of_examples(both.y, folds, seed=seed) == held_out
    return dataclasses.replace(dataset, name=f"{dataset.name}, fold {held_out + 1} of {folds}", test=None,
                               train=both.take(np.flatnonzero(~is_held_out)),
                               validation=both.take(np.flatnonzero(is_held_out)))
