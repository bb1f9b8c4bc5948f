"""Finds the folders of runs, comparisons and sweeps."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from reglab.config import ConfigError
from reglab.inputs.paths import Unusable, place_of
from reglab.inputs.texts import shown
from reglab.records.experiments import PARTIAL, read_comparison, read_sweep
from reglab.records.record import Record, size_of
from reglab.records.runs import read_run
from reglab.storage.locks import LOCK_NAMES

_DEEPEST: Final = 4
_SIGNS: Final[Mapping[str, Callable[[pathlib.Path], Record]]] = {
    "compare.json": read_comparison, "plan.json": read_sweep, "sweep.json": read_sweep, "path.json": read_sweep,
    "config.json": read_run, "run.json": read_run, PARTIAL: read_comparison}
"""Files by which a folder is known for what it holds, the first that is there."""


def read_folder(folder: pathlib.Path, *, sizes: bool = True) -> Record | None:
    """Returns what a folder tells, or None if it holds no run, comparison or sweep.

    Args:
      sizes: whether to add up the sizes of its files.
    """
    read = next((read for name, read in _SIGNS.items() if os.path.lexists(folder / name)), None)
    if read is None:
        return None
    record = read(folder)
    return dataclasses.replace(record, size=size_of(folder)) if sizes else record


def named_folder(path: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the folder that a user's path names.

    Raises:
      ConfigError: there is no such folder.
    """
    name = shown(os.fspath(path))
    try:
        place = place_of(os.fspath(path))
    except Unusable as error:
        raise ConfigError(f"{name} cannot be used ({error}): name another folder") from None
    if not os.fspath(path) or not place.is_dir():
        problem = "is no folder" if place.exists() else "does not exist"
        raise ConfigError(f"{name or repr(name)} {problem}: name a folder with runs") from None
    return place


def find_records(folder: pathlib.Path, deepest: int = _DEEPEST) -> Iterator[Record]:
    """Yields what a folder and the folders below it tell, by name; what else lies there is passed over.

    Folders within one that tells something are its own. Links and hidden folders are not followed.
    """
    record = read_folder(folder)
    if record is not None:
        yield record
    elif deepest:
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False)
                               and not entry.name.startswith(".") and entry.name not in LOCK_NAMES)
        except OSError:
            return
        for name in names:
            yield from find_records(folder / name, deepest - 1)
