"""Cross-validation: the training examples dealt out to folds, each held out once."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from reglab.data import Dataset
from reglab.data.randomness import Purpose, permutation
from reglab.sweep.options import check_folds


def fold_of_examples(y: npt.NDArray[np.int32], folds: int, *, seed: int) -> npt.NDArray[np.int64]:
    """[n] the fold, 0 … folds−1, that each example is held out in.

    Shuffled, sorted by class and dealt out like cards: sizes differ by one at most, and so do the examples of a class.
    """
    order = permutation(seed, Purpose.FOLDS, len(y))
    dealt = order[np.argsort(y[order], kind="stable")]
    numbers = np.empty(len(y), np.int64)
    numbers[dealt] = np.arange(len(y)) % folds
    return numbers


def fold_sizes(examples: int, folds: int) -> list[int]:
    """How many examples each fold holds out."""
    return [examples // folds + (fold < examples % folds) for fold in range(folds)]


def fold_dataset(dataset: Dataset, folds: int, held_out: int, *, seed: int) -> Dataset:
    """The data of one fold: its examples for validation, all other training examples to train on, in their order.

    The data's own validation part is left out. With label noise, held-out labels have their noise too.

    Raises:
      ConfigError: there are fewer training examples than folds.
    """
    check_folds(folds, dataset)
    is_held_out = fold_of_examples(dataset.train.y, folds, seed=seed) == held_out
    return dataclasses.replace(dataset, name=f"{dataset.name}, fold {held_out + 1} of {folds}",
                               train=dataset.train.take(np.flatnonzero(~is_held_out)),
                               validation=dataset.train.take(np.flatnonzero(is_held_out)))
