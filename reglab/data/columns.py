"""Which columns of a table are features and which is the label, and both as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.data.examples import Examples, Undivided
from reglab.data.facts import Columns
from reglab.data.labels import Labels, checked_labels, class_numbers
from reglab.data.tables import Table, is_no_value, is_number, texts_of
from reglab.inputs.texts import did_you_mean, shown

USUAL_LABELS: Final = ("label", "target", "class", "y")
"""The names by which a column is taken for the label if none is named, whatever their case."""
_MOST_COMPARED: Final = 1000
_ADVICE: Final = "give numbers (such as pandas.get_dummies makes of texts), or leave it out with --drop_columns"


def undivided_table(flag: str, path: str, name: str, table: Table, label_column: str | None = None,
                    wanted: Sequence[str] | None = None) -> Undivided:
    """Makes a data set of a table, all of which is its training part.

    Features are numbers, as float32, or truth values, as 0 and 1; labels are as for arrays.

    Args:
      flag: how messages begin.
      label_column: the column with the labels; None: the one with one of the `USUAL_LABELS`, else the last.
      wanted: the columns that are the features, in this order; None: all others.

    Raises:
      ConfigError: a column is missing, or has values that cannot be used.
    """
    if wanted is not None and label_column is not None and label_column not in table:
        raise ConfigError(f"{flag} has no column {shown(label_column, 60)}, which has the labels of the run, but "
                          f"{shown(', '.join(table), 120)}")
    columns = columns_of(flag, table, label_column)
    if wanted is not None:
        columns = columns._replace(features=tuple(wanted))
    x = features(flag, table, columns.features)
    where = f"{flag}: column {shown(columns.label, 60)}"
    y = checked_labels(where, _labels(where, path, table[columns.label], columns.label), len(x))
    numbers, classes, names = class_numbers({where: y})
    return Undivided(name, Examples(x, numbers[where]), None, classes, (x.shape[1],), 1.0, class_names=names,
                     columns=columns)


def columns_of(flag: str, table: Table, label_column: str | None) -> Columns:
    """Returns the names of the label's column and of the others.

    Raises:
      ConfigError: there is no such column, several may be meant, or there is no other.
    """
    if label_column is None:
        usual = [name for name in table if name.lower() in USUAL_LABELS]
        if len(usual) > 1:
            raise ConfigError(f"{flag} has the columns {shown(', '.join(usual), 120)}, each of which may be the label: "
                              "name it with --label_column")
        label_column = usual[0] if usual else [*table][-1]
    if label_column not in table:
        raise ConfigError(f"--label_column={shown(label_column, 60)}: {flag} has no such column, but "
                          f"{shown(', '.join(table), 120)}{did_you_mean(label_column, [*table][:_MOST_COMPARED])}")
    others = tuple(name for name in table if name != label_column)
    if not others:
        raise ConfigError(f"{flag} has only the column {shown(label_column, 60)}: give features beside the label")
    return Columns(label_column, others)


def features(flag: str, table: Table, names: Sequence[str]) -> npt.NDArray[np.float32]:
    """Returns the columns of these names, in this order, as [rows, features].

    Raises:
      ConfigError: a column is missing, is no column of numbers, or has a value that is missing or beyond float32.
    """
    missing = [name for name in names if name not in table]
    if missing:
        raise ConfigError(f"{flag} has no column {shown(missing[0], 60)}, which the run was trained on, but "
                          f"{shown(', '.join(table), 120)}{did_you_mean(missing[0], [*table][:_MOST_COMPARED])}")
    x = np.empty((len(next(iter(table.values()))), len(names)), np.float32)
    for k, name in enumerate(names):
        x[:, k] = _numbers(f"{flag}: column {shown(name, 60)}", table[name])
    return x


def _numbers(where: str, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    if values.dtype.kind == "O":
        _refuse_objects(where, values)
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        row, value = int(wrong.argmax()), values[wrong.argmax()]
        if np.isnan(value):
            without = f"{int(np.isnan(values).sum()):,} of {len(values):,} rows are without"
            raise ConfigError(f"{where} has no value in row {row + 1} ({without}): fill them in, or leave the rows or "
                              "the column out")
        raise ConfigError(f"{where} is {value} in row {row + 1}, which is not finite in float32: replace it, or leave "
                          "the row out")
    return numbers


def _refuse_objects(where: str, values: npt.NDArray[Any]) -> None:
    """Raises the error for a column that is not of numbers: of texts, or of truth values of which some are missing."""
    for row, value in enumerate(values.tolist()):
        if isinstance(value, str) and not is_number(value):
            raise ConfigError(f"{where} holds text ({shown(value, 60)} in row {row + 1}): {_ADVICE}")
        if value is None or (isinstance(value, float) and math.isnan(value)):
            raise ConfigError(f"{where} has no value in row {row + 1}: fill it in, or leave the row or the column out")
    raise ConfigError(f"{where} holds {shown(values[0], 60)} in row 1, which is no number of 64 bits: {_ADVICE}")


def _labels(where: str, path: str, values: npt.NDArray[Any], column: str) -> Labels:
    """Returns the labels [rows]: those that a file has, of which none is missing."""
    if values.dtype.kind not in "fO":
        return values
    missing = np.array([value is None or value != value for value in values.tolist()], bool)
    if not missing.any():
        return values
    if path.endswith(".csv"):  # What pandas takes for missing may be the name of a class: None.
        values = texts_of(path, column)
        missing = np.array([is_no_value(text) for text in values.tolist()], bool)
        if not missing.any():
            return values
    raise ConfigError(f"{where} has no label in row {int(missing.argmax()) + 1} ({int(missing.sum()):,} of "
                      f"{len(values):,} rows are without): fill them in, or leave these rows out")
