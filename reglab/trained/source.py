"""A run's network before TensorFlow is imported: the configuration of the run and what is known of its data."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reglab.config import MOST_COUNT, Config, ConfigError
from reglab.config.memory import check_memory
from reglab.inputs.paths import Unusable, place_of
from reglab.inputs.texts import shown
from reglab.run.run_file import read_run_file
from reglab.storage.reading import Unreadable, is_count, is_number, read_object

if TYPE_CHECKING:
    from reglab.data.facts import Columns
    from reglab.data.labels import ClassName
    from reglab.data.standardization import Standardization

STATES: Final = ("best", "last")
"""The states of a run that can be used: that of lowest validation data loss, and that of its newest checkpoint."""
SPLITS: Final = ("test", "validation", "train")
"""The splits that a network can be evaluated on."""


class Source(NamedTuple):
    """What is known of a run's network before its weights are read.

    Attributes:
      config: the run's configuration.
      input_shape, divisor, classes: those of its data, as in `Network`.
      dtype: the type in which its data were kept, "uint8" or "float32".
      facts: the contents of its `data.json`.
      class_names, standardization, columns: those of its data, as in `DataFacts` and `Dataset`.
    """

    config: Config
    input_shape: tuple[int, ...]
    divisor: float
    classes: int
    dtype: str
    facts: Mapping[str, Any]
    class_names: tuple[ClassName, ...] | None = None
    standardization: Standardization | None = None
    columns: Columns | None = None


def run_folder(model_dir: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the path of a run's folder, which need not exist.

    Raises:
      ConfigError: no folder can have that name.
    """
    return usable_place("model_dir", model_dir)


def usable_place(flag: str, path: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the place that a flag's path names; nothing need exist there.

    Raises:
      ConfigError: nothing can exist there.
    """
    try:
        return place_of(os.fspath(path))
    except Unusable as error:
        raise ConfigError(f"--{flag}={shown(os.fspath(path))} cannot be used ({error}): name another") from None


def read_source(model_dir: pathlib.Path) -> Source:
    """Reads what a run's folder says about its network.

    Raises:
      ConfigError: it holds no run, one that cannot be read, or one whose network is more than memory.
    """
    config, facts = _config(model_dir), object_in(model_dir / "data.json")
    shape: Any = facts.get("input_shape")
    divisor: Any = facts.get("divisor")
    classes: Any = facts.get("classes")
    if not (isinstance(shape, list) and 0 < len(shape) <= 32 and all(map(_is_length, shape))
            and is_number(divisor) and _is_length(classes)):
        raise ConfigError(f"--model_dir={model_dir}: data.json does not tell the shape of the data: give the command "
                          "of the run again, which writes it anew")
    try:  # As for SGD, without slots, since these are not read.
        check_memory(dataclasses.replace(config, optimizer="sgd", weight_decay=None), input_shape=tuple(shape),
                     classes=classes)
    except ConfigError as error:
        raise ConfigError(f"--model_dir={model_dir} holds a run that cannot be used: {error}") from None
    from reglab.data.facts import kept_in  # Imports NumPy, which help and bad flags do not need.

    dtype = facts.get("dtype")
    return Source(config, tuple(shape), float(divisor), classes,
                  dtype if dtype in ("uint8", "float32") else kept_in(float(divisor)), facts,
                  _class_names(model_dir, facts, classes), _standardization(model_dir, facts, math.prod(shape)),
                  _columns(model_dir, facts, math.prod(shape)))


def _class_names(model_dir: pathlib.Path, facts: Mapping[str, Any], classes: int) -> tuple[ClassName, ...] | None:
    names = facts.get("class_names")
    if names is None:
        return None
    if not (isinstance(names, list) and len({str(name) for name in names}) == len(names) == classes
            and {type(name) for name in names} in ({int}, {str}, {bool})):
        raise _damaged(model_dir, "the names of the classes")
    return tuple(names)


def _standardization(model_dir: pathlib.Path, facts: Mapping[str, Any], features: int) -> Standardization | None:
    from reglab.data.standardization import Standardization

    if facts.get("standardization") is None:
        return None
    try:
        return Standardization.from_dict(facts["standardization"], features)
    except (ValueError, TypeError, OverflowError):
        raise _damaged(model_dir, "mean and standard deviation of each feature") from None


def _columns(model_dir: pathlib.Path, facts: Mapping[str, Any], features: int) -> Columns | None:
    from reglab.data.facts import Columns

    told = facts.get("columns")
    if told is None:
        return None
    names: Any = told.get("features") if isinstance(told, dict) else None
    if not (isinstance(names, list) and len(set(map(str, names))) == features
            and all(isinstance(name, str) for name in (*names, told.get("label")))):
        raise _damaged(model_dir, "the names of the columns")
    return Columns(told["label"], tuple(names))


def _damaged(model_dir: pathlib.Path, what: str) -> ConfigError:
    return ConfigError(f"--model_dir={model_dir}: data.json does not tell {what}: give the command of the run again, "
                       "which writes it anew")


def object_in(path: pathlib.Path) -> dict[str, Any]:
    """Returns the JSON object in a file, or an empty one if it cannot be read."""
    try:
        return read_object(path)
    except Unreadable:
        return {}


def _is_length(value: Any) -> bool:
    return is_count(value) and 0 < value <= MOST_COUNT


def _config(model_dir: pathlib.Path) -> Config:
    if not os.path.isfile(model_dir / "config.json"):
        chosen = next((name for name in ("winner", "winner_1se") if os.path.isfile(model_dir / name / "config.json")),
                      None)
        hint = f", for example --model_dir={model_dir / chosen}" if chosen else ""
        raise ConfigError(f"--model_dir={model_dir} holds no run: name the folder of one{hint}")
    try:
        config = Config.from_file(model_dir / "config.json")
    except ConfigError as error:
        raise ConfigError(f"--model_dir={model_dir} holds a run that cannot be used: {error}") from None
    differences = _differences(model_dir, config)
    if differences:
        raise ConfigError(f"--model_dir={model_dir}: config.json is not as the run wrote it ({differences[0]}): give "
                          "the command of the run again, which writes it anew")
    return config


def _differences(model_dir: pathlib.Path, config: Config) -> list[str]:
    """What differs between a configuration and the copy of it in `run.json`, where that can be read."""
    try:
        copy = read_run_file(model_dir).config
        return [] if copy is None else config.differences(Config.from_dict(copy))
    except (Unreadable, ConfigError):
        return []
