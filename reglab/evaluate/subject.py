"""The examples with which to look at a network, read and checked before TensorFlow is imported."""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from reglab.config import ConfigError
from reglab.config.checks import one_of
from reglab.data import Dataset, Examples, Stream, Undivided, load_configured, load_undivided
from reglab.data.examples import digest_of
from reglab.data.labels import in_classes_of
from reglab.inputs.texts import shown
from reglab.run.older import with_split_of_today
from reglab.trained.inputs import as_trained, check_inputs
from reglab.trained.source import SPLITS, STATES, Source

BATCH: Final = 1000
Data = Dataset | Stream


class Subject(NamedTuple):
    """Examples of one split.

    Attributes:
      data: the name of the data.
      split: the part of them.
      is_own: whether that part of the run's own data is meant: "test" is then its untouched part.
      digest: eight hexadecimal digits by which the examples are recognized.
      examples: their number.
      batches: yields them, `BATCH` at a time, in the type in which the run's data were kept.
    """

    data: str
    split: str
    is_own: bool
    digest: str
    examples: int
    batches: Callable[[], Iterator[Examples]]

    @property
    def title(self) -> str:
        """The examples, for people: `the test part of digits`, `new data, the test part of mine`."""
        return f"{'' if self.is_own else 'new data, '}the {TITLES[self.split]} part of {self.data}"


TITLES: Final = {"test": "test", "validation": "validation", "train": "training"}


def check_options(split: str | None, state: str) -> None:
    """Checks the names of a split and a state.

    Raises:
      ConfigError: there is no such split or state.
    """
    one_of(*STATES)("state", state)
    if split is not None:
        one_of(*SPLITS)("split", split)


def find_subject(folder: pathlib.Path, source: Source, data: Data | None = None, *, dataset: str | None = None,
                 data_dir: str | None = None, split: str | None = None) -> Subject:
    """Finds the examples: of `data`, of another `dataset`, or of the run's own, as its configuration names them.

    Args:
      split: one of `SPLITS`; by default the test part or, for new data without one, all examples.

    Raises:
      ConfigError: the data cannot be read, are not the run's, have no such part, or do not fit the network.
    """
    if data is None and dataset is not None:
        label, features = source.columns or (None, None)
        return _of_undivided(load_undivided(dataset, data_dir, label, features), source, f"--dataset={shown(dataset)}",
                             split)
    if data is None:
        data = _own_data(folder, source, data_dir)
    if data.digest != source.facts.get("digest") and isinstance(data, Dataset):
        whole = Undivided(data.name, data.train, data.test, data.classes, data.input_shape, data.divisor,
                          class_names=data.class_names)
        return _of_undivided(whole, source, shown(data.name), split)
    chosen = split or "test"
    if chosen not in data.sizes:
        why = ", since their validation part is the test part (--validation_split=0)" if data.validated_on_test else ""
        raise ConfigError(f"--model_dir={folder}: the data of the run have no test part{why}: give --split=validation, "
                          "or new data with --dataset")
    if isinstance(data, Stream):
        return Subject(data.name, chosen, data.digest == source.facts.get("digest"), data.digest, data.sizes[chosen],
                       functools.partial(data.batches, chosen, 0, BATCH))
    return _made(data.name, chosen, True, data.splits[chosen], data.divisor)


def _own_data(folder: pathlib.Path, source: Source, data_dir: str | None) -> Dataset:
    config = with_split_of_today(source.config, source.facts)
    data = load_configured(config if data_dir is None else dataclasses.replace(config, data_dir=data_dir))
    theirs: Any = source.facts.get("digest")
    if data.digest != theirs:
        raise ConfigError(f"--model_dir={folder} holds a run on other data than its configuration names now (digest "
                          f"{shown(theirs, 40)}, here {data.digest}): put the data back, name new data with --dataset, "
                          "or call reglab.evaluate with the run's")
    return data


def _of_undivided(whole: Undivided, source: Source, where: str, split: str | None) -> Subject:
    chosen = split or ("train" if whole.test is None else "test")
    parts = {"train": whole.train, "test": whole.test}
    examples = parts.get(chosen)
    if examples is None:
        raise ConfigError(f"--split={chosen}: {where} has no {TITLES[chosen]} part: give one of "
                          + " or ".join(name for name, part in parts.items() if part is not None))
    _check(f"{where}: its x", examples, whole, source)
    examples = Examples(examples.x, in_classes_of(f"{where}:", examples.y, whole.class_names, source.class_names,
                                                  source.classes))
    digests = source.facts.get("digests")
    known = {digest: name for name, digest in digests.items()} if isinstance(digests, dict) else {}
    subject = _made(whole.name, chosen, False, examples, source.divisor)
    own = known.get(subject.digest)
    return subject if own not in SPLITS else subject._replace(split=own, is_own=True)


def _check(where: str, examples: Examples, whole: Undivided, source: Source) -> None:
    """Checks that the network takes the examples.

    Raises:
      ConfigError: it does not.
    """
    dtype = np.dtype(np.bool_) if examples.x.dtype == np.uint8 and whole.divisor == 1 else examples.x.dtype
    check_inputs(where, (len(examples), *whole.input_shape), dtype, source)
    as_trained(where, examples.x, source)


def _made(name: str, split: str, is_own: bool, examples: Examples, divisor: float) -> Subject:
    def batches() -> Iterator[Examples]:
        for first in range(0, len(examples), BATCH):
            yield Examples(examples.x[first:first + BATCH], examples.y[first:first + BATCH])

    assert math.prod(examples.x.shape), "a part has examples"
    return Subject(name, split, is_own, digest_of((divisor,), examples), len(examples), batches)
