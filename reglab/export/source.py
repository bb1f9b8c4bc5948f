"""What is to be exported, read before TensorFlow is imported: the configuration of a run and the shape of its data."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any, NamedTuple

from reglab.config import MOST_COUNT, Config, ConfigError
from reglab.config.memory import check_memory
from reglab.run.run_file import read_run_file
from reglab.storage.reading import Unreadable, is_count, is_number, read_object


class Source(NamedTuple):
    """The run.

    Attributes:
      config: its configuration. Matrix products in bfloat16 become float32: who uses the network chooses anew.
      input_shape, divisor, classes: of its data, see `Network`.
    """

    config: Config
    input_shape: tuple[int, ...]
    divisor: float
    classes: int


def read_source(model_dir: pathlib.Path) -> Source:
    """Reads what a run's folder tells of its network.

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
    try:  # Without the slots, which stay behind.
        check_memory(dataclasses.replace(config, optimizer="sgd", weight_decay=None), input_shape=tuple(shape),
                     classes=classes)
    except ConfigError as error:
        raise ConfigError(f"--model_dir={model_dir} holds a run that cannot be used: {error}") from None
    return Source(config, tuple(shape), float(divisor), classes)


def object_in(path: pathlib.Path) -> dict[str, Any]:
    """The object in a file; an empty one where there is none."""
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
    return dataclasses.replace(config, precision="float32") if config.precision == "bfloat16" else config


def _differences(model_dir: pathlib.Path, config: Config) -> list[str]:
    """What differs between a configuration and the copy of it in `run.json`, where that can be read."""
    try:
        copy = read_run_file(model_dir).config
        return [] if copy is None else config.differences(Config.from_dict(copy))
    except (Unreadable, ConfigError):
        return []
