"""The files of a prediction, checked before TensorFlow is imported: the inputs and the output."""

from __future__ import annotations

import contextlib
import os
import pathlib
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.config.allowed import TABLES
from reglab.inputs.paths import Unusable, open_regular, reason
from reglab.inputs.texts import one_line, shown
from reglab.predict.formats import FORMATS
from reglab.run.found_run import FILES
from reglab.trained.inputs import check_inputs
from reglab.trained.source import Source, usable_place


class Inputs(NamedTuple):
    """Inputs of a network.

    Attributes:
      x: [n, ...].
      left_out: the columns of a table that the network does not take, besides that of the label.
    """

    x: npt.NDArray[Any]
    left_out: tuple[str, ...] = ()


def open_inputs(path: str | os.PathLike[str], source: Source) -> Inputs:
    """Opens inputs: the array in a .npy file, or the columns of a .csv or .parquet table that the run was trained on.

    An array is mapped, not read: it may exceed the memory. Pickled objects are refused. Of a table without columns in
    the run all columns are taken, in their order.

    Raises:
      ConfigError: the file cannot be read, or the run does not take the array's shape or type.
    """
    place, where = usable_place("input", path), f"--input={shown(os.fspath(path))}"
    if place.suffix in TABLES:
        return _of_table(where, place, source)
    x = _mapped(where, place)
    check_inputs(f"{where}: x", x.shape, x.dtype, source)
    if not len(x):
        raise ConfigError(f"{where} holds no example: give at least one")
    return Inputs(x)


def _of_table(where: str, place: pathlib.Path, source: Source) -> Inputs:
    from reglab.data.columns import features
    from reglab.data.tables import read_table

    table = read_table(where, str(place))
    names = tuple(table) if source.columns is None else source.columns.features
    x = features(where, table, names)
    check_inputs(f"{where}: x", x.shape, x.dtype, source)
    taken = {*names, *([] if source.columns is None else [source.columns.label])}
    return Inputs(x, tuple(name for name in table if name not in taken))


def _mapped(where: str, place: pathlib.Path) -> npt.NDArray[Any]:
    try:
        with open_regular(place) as file:
            start = file.read(6)
        if start[:2] == b"PK":
            raise Unusable("it is an archive of several arrays")
        if start != b"\x93NUMPY":
            raise Unusable("it is no .npy file, nor called .csv or .parquet")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of files from Python 2.
            return np.asanyarray(np.load(place, mmap_mode="r", allow_pickle=False))
    except (OSError, Unusable) as error:
        raise ConfigError(f"{where} cannot be read ({reason(error)}): give a file that numpy.save(path, x) wrote"
                          ) from None
    except Exception as error:  # A damaged header raises one of a dozen types.
        raise ConfigError(f"{where} cannot be read ({one_line(error, 160)}): give a file that numpy.save(path, x) wrote"
                          ) from None


def check_output(path: pathlib.Path, folder: pathlib.Path, *, overwrite: bool,
                 read: pathlib.Path | None = None) -> None:
    """Checks that predictions may be written to a path.

    Args:
      folder: the folder of the run.
      read: the file of the inputs.

    Raises:
      ConfigError: there is no format of that name; it exists and may not be overwritten, or never may.
    """
    flag = f"--output={path}"
    if path.suffix not in FORMATS:
        raise ConfigError(f"{flag}: name a file that ends in {', '.join(FORMATS)}")
    if path.is_dir():
        raise ConfigError(f"{flag} is a folder: name a file")
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise ConfigError(f"{flag} exists already: name another file, or give --overwrite")
    kept = [folder / name for name in FILES] + ([] if read is None else [read])
    if any(_is_same(path, other) for other in kept):
        raise ConfigError(f"{flag} is what is read: name another file")


def _is_same(one: pathlib.Path, other: pathlib.Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return False
