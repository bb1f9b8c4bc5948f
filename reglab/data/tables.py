"""Tables from CSV and Parquet files: named columns, read by pandas and pyarrow once their size is known."""

from __future__ import annotations

import csv
import io
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.config.memory import available_memory
from reglab.data.unpacking import check_growth
from reglab.inputs.paths import Unusable, check_text, open_regular, reason
from reglab.inputs.texts import did_you_mean, one_line, shown

Table = dict[str, npt.NDArray[Any]]
"""Maps the name of each column to its values [rows]: numbers, truth values, or Python objects such as texts."""

MOST_COLUMNS: Final = 20_000
_MOST_HEADER: Final = 2**22
_MOST_NAME: Final = 1000
_MOST_COMPARED: Final = 1000
_CSV_GROWTH: Final = 16
"""How many times the size of a CSV file its contents take in memory, roughly and at most, while they are read."""
_NO_VALUE: Final = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>", "#N/A"})


def read_table(flag: str, path: str, dropped: Sequence[str] = ()) -> Table:
    """Reads a file whose name ends in .csv or .parquet.

    A CSV file is text in UTF-8 with the names of the columns on its first line; commas, semicolons or tabs separate
    them.

    Args:
      flag: how messages begin, such as `--dataset=my.csv`.
      dropped: the columns to leave out, whatever they hold.

    Raises:
      ConfigError: the file cannot be read, is not such a table, is too large, or a package for it is not installed.
    """
    read = _read_parquet if path.endswith(".parquet") else _read_csv
    try:
        with _opened(flag, path) as file:
            table = read(file, dropped)
    except ConfigError:
        raise
    except ImportError as error:
        raise ConfigError(f"{flag}: {pathlib.Path(path).suffix} files are read by {error.name}, which is not "
                          "installed: pip install 'reglab[tables]'") from None
    except (OSError, Unusable) as error:
        raise ConfigError(f"{flag} cannot be read ({one_line(reason(error), 300)})") from None
    except Exception as error:  # A damaged file raises one of a dozen types.
        raise ConfigError(f"{flag} cannot be read ({one_line(error, 200)}): give a table whose first line names the "
                          "columns, and whose rows have a value for each") from None
    if not len(next(iter(table.values()))):
        raise ConfigError(f"{flag} has no rows: give a table with at least one example")
    return table


def _opened(flag: str, path: str) -> IO[bytes]:
    try:
        return open_regular(os.path.expanduser(path))
    except FileNotFoundError:
        raise ConfigError(f"{flag}: there is no such file: give the path of a .csv or .parquet file") from None
    except (OSError, Unusable) as error:
        raise ConfigError(f"{flag} cannot be read ({one_line(reason(error), 300)}): give the path of a .csv or "
                          ".parquet file") from None


def texts_of(path: str, column: str) -> npt.NDArray[Any]:
    """Returns the texts [rows] in a column of a CSV file that `read_table` has read, as they are."""
    import pandas

    with open_regular(os.path.expanduser(path)) as file:
        names, separator = _header(file)
        at = names.index(column)
        frame = pandas.read_csv(file, sep=separator, header=0, names=names, index_col=False, usecols=[at], dtype=str,
                                keep_default_na=False, skipinitialspace=True)
        return frame[column].to_numpy(object)


def is_no_value(text: str) -> bool:
    """Whether a text stands for a value that is missing."""
    return text.strip() in _NO_VALUE


def _read_csv(file: IO[bytes], dropped: Sequence[str]) -> Table:
    import pandas

    size, free = os.fstat(file.fileno()).st_size, available_memory()
    if size * _CSV_GROWTH > free:
        raise Unusable(f"it has {size:,} bytes, too many for the {free:,} of memory that are free: give an .npz "
                       "file of numbers, or fewer rows")
    names, separator = _header(file)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pandas.errors.ParserWarning)
        try:
            frame = pandas.read_csv(file, sep=separator, header=0, names=names, index_col=False, low_memory=False,
                                    skipinitialspace=True)
        except pandas.errors.ParserWarning:
            raise Unusable(f"its first line has {len(names):,} names, and the others have more values: name each column"
                           ) from None
    return {name: _as_array(frame[name]) for name in _kept(names, dropped)}


def _kept(names: list[str], dropped: Sequence[str]) -> list[str]:
    """Returns the names that are not dropped.

    Raises:
      ConfigError: one that is dropped is not among them, or none is left.
    """
    for name in dropped:
        if name not in names:
            raise ConfigError(f"--drop_columns={shown(name, 60)}: there is no such column, but "
                              f"{shown(', '.join(names), 120)}{did_you_mean(name, names[:_MOST_COMPARED])}")
    kept = [name for name in names if name not in set(dropped)]
    if not kept:
        raise ConfigError(f"--drop_columns={shown(', '.join(dropped), 120)} leaves no column: drop fewer")
    return kept


def _as_array(column: Any) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = column.to_numpy()
    return values if values.dtype.kind in "iufb" else column.to_numpy(object)


def _header(file: IO[bytes]) -> tuple[list[str], str]:
    """Returns the names of the columns and what separates them, and leaves the file at its beginning."""
    start = file.read(_MOST_HEADER)
    file.seek(0)
    line = start.lstrip(b"\xef\xbb\xbf\r\n").partition(b"\n")[0]
    if len(line) == _MOST_HEADER:
        raise Unusable(f"its first line has more than {_MOST_HEADER:,} bytes: put the names of the columns on it")
    separator = max(",;\t", key=lambda one: line.count(one.encode()))
    if line.count(separator.encode()) >= MOST_COLUMNS:
        raise Unusable(f"it has more than {MOST_COLUMNS:,} columns: give an .npz file")
    text = io.StringIO(start.decode("utf-8-sig", "replace").lstrip("\r\n"), newline="")
    names = [name.strip() for name in next(csv.reader(text, delimiter=separator, skipinitialspace=True), [])]
    _check_names(names)
    return names, separator


def _check_names(names: list[str]) -> None:
    """Checks the names of the columns.

    Raises:
      Unusable: one is empty, there twice, too long or not printable, or they are numbers.
    """
    if not names or names == [""]:
        raise Unusable("it is empty: give a table with a row for each example")
    for k, name in enumerate(names):
        if not name or name.startswith("__index_level_"):
            raise Unusable(f"its column {k + 1} has no name, as the index that pandas writes: leave it out "
                           "(index=False), or name it")
        try:
            check_text(name, _MOST_NAME)
        except Unusable as error:
            raise Unusable(f"its column {k + 1} is called {shown(name, 60)}, and {error}: rename it") from None
    if len(names) - sum(map(is_number, names)) <= 1 < len(names) or is_number(names[0]) and len(names) == 1:
        raise Unusable(f"its first line is {shown(', '.join(names), 60)}: put a line with the names of the columns "
                       "before it")
    if len(set(names)) < len(names):
        twice = next(name for k, name in enumerate(names) if name in names[:k])
        raise Unusable(f"two columns are called {shown(twice, 60)}: give each a name of its own")


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
        return True
    except ValueError:
        return False


def _read_parquet(file: IO[bytes], dropped: Sequence[str]) -> Table:
    import pyarrow
    from pyarrow import parquet

    size = os.fstat(file.fileno()).st_size
    opened = parquet.ParquetFile(file)
    schema, rows = opened.schema_arrow, opened.metadata.num_rows
    names = [str(name) for name in schema.names]
    if len(names) > MOST_COLUMNS:
        raise Unusable(f"it has more than {MOST_COLUMNS:,} columns: give an .npz file")
    _check_names(names)
    groups = [opened.metadata.row_group(k) for k in range(opened.metadata.num_row_groups)]
    check_growth(max(4 * rows * len(names), sum(group.total_byte_size for group in groups)), size)
    kinds, texts, kept = pyarrow.types, [], _kept(names, dropped)
    for name, kind in ((name, schema.field(name).type) for name in kept):
        if kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_dictionary(kind):
            texts.append(name)
        elif not (kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)):
            raise Unusable(f"its column {shown(name, 60)} is of type {shown(str(kind), 60)}: give numbers, texts for "
                           "the label, or leave it out")
    # As a dictionary, a long text that is repeated a million times stays one text.
    found = parquet.ParquetFile(file, read_dictionary=texts).read(kept)
    return {name: _of_arrow(found.column(name), name in texts) for name in kept}


def _of_arrow(column: Any, is_text: bool) -> npt.NDArray[Any]:
    if not is_text:
        return np.asarray(column.to_numpy())
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    values = np.array([*whole.dictionary.to_pylist(), None], object)
    taken: npt.NDArray[Any] = values[whole.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)]
    return taken
