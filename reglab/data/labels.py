"""Labels of any kind as class numbers: whole numbers, texts or truth values become 0 … classes-1, in sorted order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.inputs.paths import Unusable, check_text
from reglab.inputs.texts import shown

ClassName = int | str | bool
"""A label as the data have it."""
Labels = npt.NDArray[Any]

_MOST_CLASSES: Final = 10**6
_MOST_NAMED: Final = 100_000
_MOST_CHARACTERS: Final = 200
_QUANTITIES: Final = 20
"""So many different whole floats, if they are also most of the examples, are no classes but a quantity."""


def class_numbers(labels: Mapping[str, Labels]) -> tuple[dict[str, npt.NDArray[np.int32]], int,
                                                         tuple[ClassName, ...] | None]:
    """Numbers the classes of the given labels, which all have one type.

    Args:
      labels: maps what messages call some labels, such as `mine: y_train`, to those: [n], as `checked_labels` returned.

    Returns:
      The class numbers of each, int32 [n]; the number of classes, at least 2; and the labels by class number, or None
      if these are the class numbers themselves.

    Raises:
      ConfigError: the parts have labels of different types, or there are too many classes.
    """
    (first, some), *others = labels.items()
    for where, more in others:
        if more.dtype.kind != some.dtype.kind:
            raise ConfigError(f"{where} has labels of type {shown(str(more.dtype), 40)} but {_name(first)} of type "
                              f"{shown(str(some.dtype), 40)}; give both the same type")
    found = np.unique(np.concatenate([np.unique(part) for part in labels.values()]))
    if len(found) > _MOST_CLASSES:
        raise ConfigError(f"{first} has {len(found):,} classes, and at most {_MOST_CLASSES:,} are taken; are these "
                          "labels of classes?")
    if found.dtype.kind == "i" and found[0] == 0 and found[-1] == len(found) - 1:
        return {where: part.astype(np.int32) for where, part in labels.items()}, max(len(found), 2), None
    if len(found) > _MOST_NAMED:
        raise ConfigError(f"{first} has {len(found):,} classes with names, and at most {_MOST_NAMED:,} names are kept; "
                          "number the classes from 0, without gaps")
    names: list[ClassName] = found.tolist()
    _check_names(first, names)
    numbers = {where: np.searchsorted(found, part).astype(np.int32) for where, part in labels.items()}
    return numbers, max(len(found), 2), (*names, *_unused(names))


def checked_labels(where: str, y: Labels, examples: int) -> Labels:
    """Returns labels [n] as integers, texts or truth values.

    Raises:
      ConfigError: they are no labels of classes, one an example.
    """
    _check_shape(where, y)
    if len(y) != examples:
        raise ConfigError(f"{where} has {len(y):,} labels for {examples:,} examples; give one an example")
    if y.dtype.kind == "O":
        y = _of_objects(where, y)
    if y.dtype.kind == "S":
        y = _decoded(where, y)
    if y.dtype.kind == "f":
        y = _whole(where, y)
    if y.dtype.kind not in "iubU":
        raise ConfigError(f"{where} has type {shown(str(y.dtype), 60)}; give whole numbers or texts, one an example")
    if y.dtype.kind == "u" and int(y.max()) > np.iinfo(np.int64).max:
        raise ConfigError(f"{where} has numbers beyond 63 bits; give smaller whole numbers, or texts")
    if y.dtype.kind == "U" and len(empty := np.flatnonzero(y == "")):
        raise ConfigError(f"{where}[{empty[0]}] is empty; give every example a label, or leave it out")
    return y.astype(np.int64) if y.dtype.kind in "iu" else y


def in_classes_of(where: str, y: npt.NDArray[np.int32], theirs: Sequence[ClassName] | None,
                  ours: Sequence[ClassName] | None, classes: int) -> npt.NDArray[np.int32]:
    """Renumbers class numbers of other data by the names that both have.

    Args:
      where: what messages call the labels.
      theirs, ours: the names by class number of the data and of the run, or None where numbers are the names.
      classes: the number of classes of the run.

    Raises:
      ConfigError: a label is none of the run's.
    """
    present = np.unique(y)
    if theirs is ours is None and present[-1] < classes:
        return y
    known = {str(name): k for k, name in enumerate(range(classes) if ours is None else ours)}
    lookup = np.zeros(int(present[-1]) + 1, np.int32)
    for k in present.tolist():
        name = str(k if theirs is None else theirs[k])
        if name not in known:
            which = (f"the classes 0 to {classes - 1}" if ours is None else
                     f"{shown(', '.join(map(str, ours)))}")
            raise ConfigError(f"{where} label {np.flatnonzero(y == k)[0]} is {shown(name, 60)}, and the network of the "
                              f"run knows {which}")
        lookup[k] = known[name]
    return lookup[y]


def _check_shape(where: str, y: Labels) -> None:
    name = _name(where)
    if y.ndim == 2 and y.shape[1] > 1:
        numeric = y.dtype.kind in "iubf"
        binary = numeric and bool(np.isin(y, (0, 1)).all())
        if binary and bool((y.sum(1, dtype=np.int64) == 1).all()):
            raise ConfigError(f"{where} has shape {y.shape} and is one-hot; give class numbers: {name}.argmax(axis=1)")
        raise ConfigError(f"{where} has shape {y.shape}: " + (
            "several labels for an example (multi-label), and reglab gives each example one class; give one label an "
            "example, or train one network for each column" if binary else
            "several values for an example, and reglab gives each example one class; give one label an example"))
    if y.ndim != 1:
        raise ConfigError(f"{where} has shape {y.shape}; give one class number an example: {name}.reshape(-1)")


def _whole(where: str, y: Labels) -> Labels:
    if len(wrong := np.flatnonzero(~np.isfinite(y))):
        raise ConfigError(f"{where}[{wrong[0]}] is {y[wrong[0]]}; give every example a label, or leave it out")
    if len(wrong := np.flatnonzero(y != np.floor(y))):
        raise ConfigError(f"{where}[{wrong[0]}] is {y[wrong[0]]:g}, no whole number: as if a quantity (regression), "
                          "and reglab learns classes; give the label of a class")
    if np.abs(y).max() >= 2.0**53 or (count := len(np.unique(y))) > max(_QUANTITIES, len(y) // 2):
        raise ConfigError(f"{where} has " + ("numbers too large for labels" if np.abs(y).max() >= 2.0**53 else
                          f"{count:,} different numbers in {len(y):,} examples") + ": as if a quantity (regression), "
                          "and reglab learns classes; give labels of classes as integers or texts")
    return y.astype(np.int64)


def _of_objects(where: str, y: Labels) -> Labels:
    """Returns an array of Python objects, such as pandas has for texts, as an array of one type."""
    values = y.tolist()
    kinds = {type(value) for value in values}
    for kind in (str, bool, int, float):
        if kinds <= {kind}:
            try:
                return np.array(values, kind)
            except OverflowError:
                raise ConfigError(f"{where} has numbers beyond 64 bits; give labels of classes") from None
    odd = next(k for k, value in enumerate(values) if not isinstance(value, str))
    raise ConfigError(f"{where}[{odd}] is {shown(values[odd], 60)}, of type {shown(type(values[odd]).__name__, 40)}; "
                      "give labels of one type, texts or whole numbers, one an example")


def _decoded(where: str, y: Labels) -> Labels:
    try:
        return np.char.decode(y, "utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{where} holds bytes that are no text in UTF-8; give texts or whole numbers") from None


def _check_names(where: str, names: Sequence[ClassName]) -> None:
    for name in names:
        try:
            check_text(str(name), _MOST_CHARACTERS)
        except Unusable as error:
            raise ConfigError(f"{where} has the label {shown(name, 60)}, and {error}; give shorter, printable labels"
                              ) from None


def _unused(names: Sequence[ClassName]) -> list[ClassName]:
    """The name of a second class where the data have one only."""
    if len(names) > 1:
        return []
    return [not names[0]] if isinstance(names[0], bool) else [f"not {names[0]}"] if isinstance(names[0], str) else [
        names[0] + 1]


def _name(where: str) -> str:
    return where.rpartition(" ")[2]
