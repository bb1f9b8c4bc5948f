"""Seeded choices among the examples: the validation split, the training subset, the label noise."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.data.examples import Dataset, Examples, Undivided
from reglab.data.randomness import Purpose, permutation, random_words

TEST_OF_TABLES: Final = 0.2
"""The part of a table that is held out to test with, unless another is asked for."""


def stratified(y: npt.NDArray[np.int32], size: int, *, seed: int, purpose: Purpose) -> npt.NDArray[np.int64]:
    """Returns the indices of `size` examples in which every class has its share: ascending, int64 [size].

    A class with c of the n labels gets the whole part of size * c / n, and the largest remainders, lower classes
    first, get one more each, so that the sum is exactly `size`. Which examples of a class are taken is random.
    """
    counts = np.bincount(y)
    quotas, remainders = np.divmod(size * counts, len(y))
    neediest = np.argsort(-remainders, kind="stable")
    quotas[neediest[:size - quotas.sum()]] += 1
    order = permutation(seed, purpose, len(y))
    by_class = order[np.argsort(y[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    chosen = np.concatenate([by_class[start:start + quota] for start, quota in zip(starts, quotas, strict=True)])
    return np.sort(chosen).astype(np.int64)


def split(examples: Examples, fraction: float, *, seed: int) -> tuple[Examples, Examples]:
    """Returns training and validation examples: round(fraction * n), stratified, are held out; order is kept.

    Raises:
      ConfigError: `fraction` is not in (0, 1), or leaves one side empty.
    """
    held_out = round(fraction * len(examples)) if 0 < fraction < 1 else 0
    if not 0 < held_out < len(examples):
        raise ConfigError(f"--validation_split={fraction}: {held_out} of {len(examples):,} training examples would be "
                          "held out; give a fraction between 0 and 1 that leaves both sides some")
    return _without(examples, stratified(examples.y, held_out, seed=seed, purpose=Purpose.SPLIT))


def with_test_part(whole: Undivided, fraction: float | None, *, seed: int) -> Undivided:
    """Returns the data with round(fraction * n) examples of the training part, stratified, as the test part.

    Args:
      fraction: 0 holds nothing out, and neither does None, except that it holds out `TEST_OF_TABLES` of a table.

    Raises:
      ConfigError: a fraction is given and there is a test part already, or it leaves a part empty.
    """
    if whole.test is not None:
        if fraction:
            raise ConfigError(f"--test_split={fraction}: {whole.name} has a test part already, of {len(whole.test):,} "
                              "examples: leave it out")
        return whole
    share = fraction if fraction is not None else TEST_OF_TABLES if whole.columns is not None else 0
    if not share:
        return whole
    count = round(share * len(whole.train))
    if not 0 < count < len(whole.train):
        raise ConfigError(f"--test_split={share}: {count} of {len(whole.train):,} examples would be held out to test: "
                          "give a fraction that leaves both sides some, or 0 for no test part")
    rest, test = _without(whole.train, stratified(whole.train.y, count, seed=seed, purpose=Purpose.TEST))
    return dataclasses.replace(whole, train=rest, test=test)


def divided(whole: Undivided, fraction: float, *, seed: int) -> Dataset:
    """Makes the three splits: `fraction` of the training part becomes the validation part; the test part is kept.

    The examples in `whole.held_out`, if set, are held out instead, and any `fraction` above 0 has the same effect. If
    `fraction` is 0, the whole training part is for training, the test part serves for validation, and no test part
    remains.

    Raises:
      ConfigError: `fraction` leaves a split empty, or is 0 and there is no test part.
    """
    facts = whole.classes, whole.input_shape, whole.divisor
    names: dict[str, Any] = {"class_names": whole.class_names, "columns": whole.columns}
    if fraction == 0:
        if whole.test is None:
            raise ConfigError(f"--validation_split=0 takes the test part for validation, and {whole.name} has none: "
                              "give a fraction such as 0.2, x_test and y_test, or --test_split")
        return Dataset(whole.name, whole.train, whole.test, *facts, validated_on_test=True, **names)
    train, validation = (split(whole.train, fraction, seed=seed) if whole.held_out is None else
                         _without(whole.train, whole.held_out))
    return Dataset(whole.name, train, validation, *facts, test=whole.test, **names)


def _without(examples: Examples, held_out: npt.NDArray[Any]) -> tuple[Examples, Examples]:
    """Returns the examples that are not held out, and those that are; order is kept."""
    return examples.take(np.delete(np.arange(len(examples)), held_out)), examples.take(held_out)


def noisy_labels(y: npt.NDArray[np.int32], fraction: float, classes: int, *, seed: int) -> npt.NDArray[np.int32]:
    """Returns a copy of `y`, int32 [n], with exactly round(fraction * n) labels changed to another class, uniformly.

    For the same seed, the examples changed at a smaller fraction are among those changed at a larger one.

    Raises:
      ConfigError: `fraction` is not in [0, 1].
    """
    if not 0 <= fraction <= 1:
        raise ConfigError(f"--label_noise={fraction}: give a fraction from 0 to 1")
    changed = permutation(seed, Purpose.NOISY_EXAMPLES, len(y))[:round(fraction * len(y))]
    # Moving 1 … classes-1 classes on, modulo their number, reaches every other class and never the same one.
    steps = 1 + random_words(seed, Purpose.NOISY_LABELS, len(y))[changed] % np.uint64(classes - 1)
    noisy = np.array(y)
    noisy[changed] = (y[changed] + steps.astype(np.int64)) % classes
    return noisy


def sample(dataset: Dataset, *, train_size: int | None, label_noise: float, seed: int) -> Dataset:
    """Takes a class-stratified subset of `train_size` training examples, then applies label noise to it.

    Raises:
      ConfigError: `train_size` is not in 1 … n, or `label_noise` is not in [0, 1].
    """
    train = dataset.train
    if train_size is not None:
        if not 1 <= train_size <= len(train):
            raise ConfigError(f"--train_size={train_size}: {dataset.name} has {len(train)} training examples; "
                              f"give a number from 1 to {len(train)}, or leave it out for all")
        train = train.take(stratified(train.y, train_size, seed=seed, purpose=Purpose.SUBSET))
    y = noisy_labels(train.y, label_noise, dataset.classes, seed=seed)
    return dataclasses.replace(dataset, train=dataclasses.replace(train, y=y))
