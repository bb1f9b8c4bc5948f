"""Makes the examples of a run from the name of a data set, or from arrays."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy.typing as npt

from reglab.config import FLAGS, Config, ConfigError
from reglab.config.allowed import DATA_FILES, TABLES
from reglab.data.arrays import undivided_arrays
from reglab.data.cifar import load_cifar
from reglab.data.columns import undivided_table
from reglab.data.digits import load_digits
from reglab.data.download import download
from reglab.data.examples import Dataset, Undivided
from reglab.data.facts import DataFacts
from reglab.data.mnist import load_mnist
from reglab.data.npz import read_npz
from reglab.data.sampling import divided, sample, with_test_part
from reglab.data.tables import read_table
from reglab.inputs.texts import shown


def load(dataset: str, *, data_dir: str | os.PathLike[str] | None = None, train_size: int | None = None,
         label_noise: float = 0.0, validation_split: float = 0.2, test_split: float | None = None,
         label_column: str | None = None, drop_columns: str | None = None, seed: int = 0) -> Dataset:
    """Reads a data set.

    Args:
      dataset: digits, mnist, fashion_mnist, cifar10, cifar100, or the path of an .npz file with x_train, y_train and
        perhaps x_test, y_test, or of a .csv or .parquet table.
      data_dir: the folder with the standard files of mnist, fashion_mnist, cifar10 or cifar100, themselves or in a
        folder of the data set's name; None downloads them with Keras. The digits and your own files do not need it.
      train_size: train on a class-stratified subset of exactly that many examples; None is all.
      label_noise: change exactly round(label_noise * n) of the n training labels left to another class, uniformly.
      validation_split: the fraction of the training part that is held out for validation, stratified by class, before
        `train_size` and `label_noise`, which concern what is left. Of the digits it is a fixed part, whatever the
        fraction. 0 takes the test part instead, and leaves none to test with.
      test_split: the fraction of data without a test part that becomes one, stratified by class, before all else; None
        is 0.2 of a table, and 0 of other data.
      label_column: the column of a table that has the labels; None is the one called label, target, class or y (in any
        case), else the last.
      drop_columns: columns of a table that are no features, separated by commas.
      seed: of the splits, the subset and the noise.

    Raises:
      ConfigError: one line that names the flag or file, what was found and what to do.
    """
    return load_configured(Config(
        dataset=dataset, data_dir=None if data_dir is None else os.fspath(data_dir), train_size=train_size,
        label_noise=label_noise, validation_split=validation_split, test_split=test_split, label_column=label_column,
        drop_columns=drop_columns, data_seed=seed))


def load_configured(config: Config) -> Dataset:
    """Reads the data that a configuration names, takes the subset and applies the label noise.

    Raises:
      ConfigError: a file is missing or damaged, or the data do not fit the flags.
    """
    return _made(config, load_undivided(config.dataset, config.data_dir, config.label_column,
                                        drop_columns=config.drop_columns))


def check_batch_size(config: Config, data: DataFacts) -> None:
    """Checks that the batch size suits the data.

    Raises:
      ConfigError: the batch is larger than the training data.
    """
    if config.batch_size > data.sizes["train"]:
        raise ConfigError(f"--batch_size={config.batch_size} is more than the {data.sizes['train']:,} training "
                          f"examples of {shown(data.name)}: give at most that many")


def is_here(dataset: str, data_dir: str | None) -> bool:
    """Whether the data are read from this machine's own files, without Keras' downloader and its TensorFlow."""
    return dataset == "digits" or dataset.endswith(DATA_FILES) or data_dir is not None


def _made(config: Config, undivided: Undivided) -> Dataset:
    whole = divided(with_test_part(undivided, config.test_split, seed=config.resolved_data_seed),
                    config.validation_split, seed=config.resolved_data_seed)
    return prepared(config, sample(whole, train_size=config.train_size, label_noise=config.label_noise,
                                   seed=config.resolved_data_seed))


def prepared(config: Config, data: Dataset) -> Dataset:
    """Returns the data with the standardization and the class weights that a configuration asks for.

    Raises:
      ConfigError: they do not allow it, or have no class of a name that is given a weight.
    """
    if (config.standardize, config.class_weights) == (data.standardize, data.class_weights):
        return data
    made = dataclasses.replace(data, standardize=config.standardize, class_weights=config.class_weights)
    _ = made.standardization, made.weights_of_classes  # Both are kept; what is refused is refused now.
    return made


def load_undivided(dataset: str, data_dir: str | None = None, label_column: str | None = None,
                   features: Sequence[str] | None = None, drop_columns: str | None = None) -> Undivided:
    """Reads the parts of a data set as its files have them; the arguments are those of `load`.

    Args:
      features: the columns of a table that are the features, in this order; None: all but that of the label.

    Raises:
      ConfigError: a file is missing or damaged.
    """
    flag, name = f"--dataset={shown(dataset)}", pathlib.Path(dataset).stem
    if dataset.endswith(".npz"):
        return undivided_arrays(flag, name, read_npz(dataset))
    if dataset.endswith(TABLES):
        dropped = [column.strip() for column in (drop_columns or "").split(",") if column.strip()]
        return undivided_table(flag, dataset, name, read_table(flag, dataset, dropped), label_column, features)
    if dataset == "digits":
        return load_digits()
    FLAGS["dataset"].check(dataset)
    if data_dir is None:
        return download(dataset)
    return load_cifar(dataset, data_dir) if dataset.startswith("cifar") else load_mnist(dataset, data_dir)


def from_arrays(x_train: npt.ArrayLike, y_train: npt.ArrayLike, x_test: npt.ArrayLike | None = None,
                y_test: npt.ArrayLike | None = None, *, name: str = "arrays", train_size: int | None = None,
                label_noise: float = 0.0, validation_split: float = 0.2, test_split: float | None = None,
                seed: int = 0) -> Dataset:
    """Makes a data set from your own arrays, under the rules of an .npz file.

    Args:
      x_train, x_test: [n, ...], n and features at least 1. uint8 is kept, with divisor 255; bool becomes uint8, with
        divisor 1; other integers and floats become float32, with divisor 1: scale them yourself, or train with
        `Config(standardize=True)`.
      y_train, y_test: labels of classes [n]: whole numbers, texts or truth values, numbered in sorted order.
      name: what to call the data set.
      train_size, label_noise, validation_split, test_split, seed: as for `load`.

    The arrays given are never changed; those returned may share their memory.

    Raises:
      ConfigError: one line that names the array or flag, what was found and what to do.
    """
    given = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    arrays = {key: values for key, values in given.items() if values is not None}
    return _made(Config(train_size=train_size, label_noise=label_noise, validation_split=validation_split,
                        test_split=test_split, data_seed=seed), undivided_arrays(shown(name), shown(name), arrays))
