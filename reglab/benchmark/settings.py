"""What to measure: the command's own flags, checked. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Final

from reglab.benchmark.known_peers import PEERS, REFERENCE
from reglab.config import MOST_COUNT, MOST_CPU_DEVICES, Config, ConfigError
from reglab.config.memory import check_memory
from reglab.config.selection import make_model, penalized_layers
from reglab.config.strengths import is_zero
from reglab.core import penalties
from reglab.core.penalties.by_name import ByPenalty
from reglab.inputs.numerals import read_integer
from reglab.inputs.paths import Unusable, place_of
from reglab.inputs.texts import did_you_mean, shown

DEFAULT_SECTIONS: Final = ("speed", "start", "penalty", "logging")
"""The sections measured unless `--sections` says otherwise; flags with values such as `--lanes=1,16` add others."""
SECTIONS: Final = (*DEFAULT_SECTIONS, "whole", "deterministic")
RACED: Final = ("l1", "l2")
"""The penalties that the other libraries have too."""
AGAINST: Final = tuple(name for name in PEERS if name not in (REFERENCE, "torch_compiled"))
DEFAULT_STRENGTH: Final = 1e-4
_MOST_REPEATS: Final = 1000
_MOST_SECONDS: Final = 3600
_MOST_NUMBERS: Final = 100
_MOST: Final = {"devices": MOST_CPU_DEVICES, "widths": MOST_COUNT, "batch_sizes": MOST_COUNT, "lanes": 10_000}

_EXTRA: Final[Mapping[str, tuple[type, str, Any]]] = {
    "sections": (str, f"Which of {', '.join(SECTIONS)} to measure; may be empty.", ",".join(DEFAULT_SECTIONS)),
    "repeats": (int, "Rounds; every result is a median with its range over them.", 5),
    "seconds": (float, "Length of one timed stretch.", 1.0),
    "devices": (str, "Numbers of devices to scale over, such as 1,2,4: GPUs, or else logical CPUs, which share the "
                     "cores.", None),
    "widths": (str, "Widths w to grow over, such as 128,512,2048,4096: hidden layers w and w/2.", None),
    "batch_sizes": (str, "Batch sizes to grow over.", None),
    "lanes": (str, "Numbers of lanes to train side by side, such as 1,16, against one run alone.", None),
    "against": (str, f"Libraries to race: {', '.join(AGAINST)} (eager and compiled).", None),
    "output": (str, "Also write the result to this new JSON file.", None),
}
WITHOUT: Final = frozenset({"strategy", "rendezvous_timeout", "model_dir", "resume", "checkpoint_every", "keep",
                            "epochs", "evaluate_every", "histograms"})


def extra_flags() -> Mapping[str, tuple[type, str, Any]]:
    """Returns the command's own flags; those of standing penalties have a default strength above 0 here."""
    return {**_EXTRA, **{name: (float, f"{penalties.get(name).help[:-1]}; else {DEFAULT_STRENGTH:g}.", None)
                         for name in penalties.standing()}}


@dataclasses.dataclass(frozen=True)
class Settings:
    """The benchmark to run.

    Attributes:
      config: the run to measure.
      sections: a subset of `SECTIONS`.
      repeats, seconds: the number of rounds, and the length of one stretch.
      devices, widths, batch_sizes, lanes: the values to measure growth over; empty for none.
      against: the peers to race, see `known_peers.PEERS`.
      output: the file to write, or None.
    """

    config: Config
    sections: tuple[str, ...] = DEFAULT_SECTIONS
    repeats: int = 5
    seconds: float = 1.0
    devices: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    lanes: tuple[int, ...] = ()
    against: tuple[str, ...] = ()
    output: pathlib.Path | None = None


def make_settings(config: Config, values: Mapping[str, Any]) -> Settings:
    """Returns the settings for a command line, given the values of `extra_flags`.

    Raises:
      ConfigError: a value cannot be used.
    """
    strengths = {**config.strengths, **{
        name: (DEFAULT_STRENGTH if is_zero(config.strengths[name]) else config.strengths[name])
        if values[name] is None else float(values[name]) for name in penalties.standing()}}
    config = dataclasses.replace(config, model_dir=None, strategy="auto", strengths=ByPenalty(0.0, strengths))
    if not 1 <= values["repeats"] <= _MOST_REPEATS:
        raise ConfigError(f"--repeats={shown(values['repeats'])}: give at least 1, and at most {_MOST_REPEATS:,}")
    if not 1e-6 <= values["seconds"] <= _MOST_SECONDS:
        raise ConfigError(f"--seconds={shown(values['seconds'])}: give a positive number such as 1, from 1e-6 to "
                          f"{_MOST_SECONDS:,}")
    against = _names("against", values["against"], AGAINST)
    sections = _names("sections", values["sections"], SECTIONS)
    if against:
        _check_against(config, "--against")
    if "whole" in sections:
        _check_against(config, "--sections=whole")
    if "torch" in against:
        against = (*against, "torch_compiled")
    grown = {name: _numbers(name, values[name]) for name in ("devices", "widths", "batch_sizes", "lanes")}
    if config.model != "mlp" or config.dropout:
        raise ConfigError(f"--model={config.model} --dropout={config.dropout:g}: the benchmark measures the MLP "
                          "without dropout, which the other libraries have too: leave them out")
    penalized_layers(make_model(config), config.penalize)
    for width in grown["widths"]:
        check_memory(dataclasses.replace(config, hidden=(width, max(width // 2, 1))))
    check_memory(config, lanes=max(grown["lanes"], default=1))
    return Settings(config, sections, values["repeats"], values["seconds"],
                    **grown, against=against, output=_new_file(values["output"]))


def _names(flag: str, text: str | None, allowed: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip()))
    for name in names:
        if name not in allowed:
            raise ConfigError(f"--{flag}={shown(text)}: '{shown(name, 60)}' is unknown, choose from "
                              f"{', '.join(allowed)}{did_you_mean(name, allowed)}")
    return names


def _numbers(flag: str, text: str | None) -> tuple[int, ...]:
    try:
        numbers = tuple(dict.fromkeys(read_integer(number) for number in (text or "").split(",") if number.strip()))
    except ValueError:
        numbers = (0,)
    if any(number < 1 for number in numbers):
        raise ConfigError(f"--{flag}={shown(text)}: give whole numbers of at least 1 such as 1,2,4")
    if len(numbers) > _MOST_NUMBERS or max(numbers, default=1) > _MOST[flag]:
        raise ConfigError(f"--{flag}={shown(text)}: give at most {_MOST_NUMBERS} numbers, of at most {_MOST[flag]:,}")
    return numbers


def _check_against(config: Config, flag: str) -> None:
    """Checks that the run is of the one kind that the peers can train.

    Raises:
      ConfigError: it is not.
    """
    default = Config()
    for name in ("optimizer", "activation", "penalize", "precision", "schedule", "warmup_steps", "clip_norm", "jit",
                 "standardize", "class_weights", "label_smoothing", "ema"):
        value = getattr(config, name)
        if value != getattr(default, name):
            raise ConfigError(f"--{name}={shown(value)} cannot be raced: with {flag} leave the flag out")
    for name, strength in config.strengths.given.items():
        if name not in RACED or isinstance(strength, str):
            raise ConfigError(f"--{name}={shown(strength)} cannot be raced: with {flag} give numbers to "
                              f"{' and '.join(f'--{raced}' for raced in RACED)} alone")


def _new_file(path: str | None) -> pathlib.Path | None:
    if path is None:
        return None
    try:
        file = place_of(path)
    except Unusable as error:
        raise ConfigError(f"--output={shown(path)} cannot be used ({error}): name another file") from None
    if os.path.lexists(file):
        raise ConfigError(f"--output={shown(path)} exists already and is not overwritten: name another file")
    if not (file.parent.is_dir() and os.access(file.parent, os.W_OK)):
        raise ConfigError(f"--output={shown(path)}: there is no folder {shown(str(file.parent))} that can be written "
                          "to")
    return file
