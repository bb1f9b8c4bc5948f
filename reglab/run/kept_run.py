"""Reads what the folder of a run says about it, without TensorFlow, for comparison with another run."""

from __future__ import annotations

import contextlib
import os
import pathlib
from typing import TYPE_CHECKING, Any

from reglab.config import Config, ConfigError
from reglab.inputs.paths import Unusable, check_path, place_of
from reglab.inputs.texts import shown
from reglab.run.checkpoints.files import saved_steps
from reglab.run.older import with_split_of_today
from reglab.run.result_file import parse_result
from reglab.storage.reading import Unreadable, read_object

if TYPE_CHECKING:
    from reglab.data import Dataset


def kept_folder(name: str) -> pathlib.Path:
    """Returns the path of the folder that a user names.

    Raises:
      ConfigError: no folder can have that name.
    """
    try:
        check_path(name)
        return place_of(name)
    except Unusable as error:
        raise ConfigError(f"{shown(name)} cannot be used ({error}): name the folder of a run") from None


def kept_config(folder: pathlib.Path) -> Config:
    """Returns the configuration of the run, with the `validation_split` that gives its data today.

    Raises:
      ConfigError: there is no usable configuration.
    """
    path = folder / "config.json"
    if not os.path.isfile(path):
        raise ConfigError(f"{folder} holds no config.json, so no run: name the folder of a run")
    config = Config.from_file(path)
    with contextlib.suppress(Unreadable):
        return with_split_of_today(config, read_object(folder / "data.json"))
    return config


def last_step(folder: pathlib.Path) -> int:
    """Returns the step of the last checkpoint.

    Raises:
      ConfigError: there is none.
    """
    steps = saved_steps(folder / "checkpoints")
    if not steps:
        raise ConfigError(f"{folder} holds no checkpoint to compare with: train the run until it has saved one")
    return steps[-1]


def check_data(folder: pathlib.Path, dataset: Dataset) -> None:
    """Checks that the run was trained on these data.

    Raises:
      ConfigError: it was not, or the data of the run are not known.
    """
    try:
        theirs = read_object(folder / "data.json")["digest"]
    except (Unreadable, KeyError):
        raise ConfigError(f"{folder / 'data.json'} is missing or damaged, so the data of the run are not known: going "
                          "on with the run writes it again") from None
    if theirs != dataset.digest:
        raise ConfigError(f"{folder} holds a run on other data (digest {shown(theirs, 40)}, here {dataset.digest}): "
                          "put the data back, or call reglab.certify.rerun.rerun with them")


def kept_result(folder: pathlib.Path) -> dict[str, Any] | None:
    """Returns the contents of `result.json` if the run is complete, else None."""
    try:
        result = parse_result(folder / "result.json")
    except Unreadable:
        return None
    return result if result.get("completed") else None
