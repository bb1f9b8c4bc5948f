"""A flag: everything declared about a field of `Config`, in one place.

A dataclass declares its fields with `Section.flag`, and `flags_of` reads them back. The command line, `--help`, the
table in the README, the checks and what may differ on resume are all made from these declarations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from reglab.config import weights
from reglab.config.checks import Check, names_in, path, require
from reglab.config.durations import read_duration
from reglab.config.errors import ConfigError
from reglab.config.plain import plain
from reglab.config.strengths import joined, read_layers
from reglab.inputs.texts import shown

DURATION_FIX: Final = "give a time such as 90s, 10m, 1h30m, or seconds"
_MOST_WHOLE: Final = 2**1023
"""An upper bound, exclusive, on the size of whole numbers given for a float64."""


class Section(NamedTuple):
    """A heading of `--help`, with the flags that are declared under it."""

    title: str

    def flag(self, default: Any, help: str, *checks: Check, handling: bool = False, later: bool = False) -> Any:
        """Makes a dataclass field that is a flag of this section; the arguments are the attributes of `Flag`."""
        told = {"section": self.title, "help": help, "checks": checks, "handling": handling, "later": later}
        return dataclasses.field(default=default, metadata=told)


class Flag(NamedTuple):
    """A field and its flag.

    Attributes:
      name: the name of both.
      annotation: the type as written in the source, such as `float | None`; `Strength` for penalties,
        `Duration` for seconds.
      default: None stands for "not given".
      section: the heading that it stands under.
      help: what it means, in sentences.
      checks: what a value is held to, in this order; None always passes.
      handling: whether it says where a run is kept and what carries it, not what is trained: then it may differ on
        resume.
      later: whether it is younger than the files of some runs: it is left out of files where it has its default.
    """

    name: str
    annotation: str
    default: Any
    section: str
    help: str
    checks: tuple[Check, ...]
    handling: bool
    later: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The names that it takes; some flags take other values too."""
        return names_in(self.checks)

    @property
    def is_path(self) -> bool:
        """Whether it takes a path."""
        return path in self.checks

    @property
    def kind(self) -> str:
        """The type without None: `str`, `int`, `float`, `bool`, `tuple[int, ...]`, `Strength`, `ClassWeights` or
        `Duration`."""
        return self.annotation.removesuffix(" | None")

    def typed(self, value: Any) -> Any:
        """Converts a value to the flag's type: whole numbers may stand for floats, and lists for tuples.

        NumPy's numbers may stand for Python's too. JSON has no tuples, and users often pass lists.

        Raises:
          ConfigError: it is of another type, say `epochs="10"` or `jit=1` from a hand-written JSON file.
        """
        value = plain(value)
        if self.kind == "tuple[int, ...]":
            value = tuple(value) if isinstance(value, list) else value
            ok = isinstance(value, tuple) and all(type(item) is int for item in value)
        elif self.kind == "Strength" and isinstance(value, str | Mapping):
            return self._strength(value)
        elif self.kind == "ClassWeights" and isinstance(value, str | Mapping):
            return self._class_weights(value)
        elif self.kind == "Duration" and isinstance(value, str):
            return self._duration(value)
        elif self.kind in ("float", "Strength", "Duration") and type(value) is int:
            require(abs(value) < _MOST_WHOLE, self.name, value,
                    "it is beyond the largest float64: give a smaller number")
            return float(value)
        else:
            kind = self._python
            ok = type(value).__name__ == kind or (value is None and self.annotation.endswith(" | None"))
        require(ok, self.name, value, f"give a value of type {self.annotation.replace(self.kind, self._python)}")
        return value

    @property
    def _python(self) -> str:
        return {"Strength": "float", "Duration": "float", "ClassWeights": "str"}.get(self.kind, self.kind)

    def _duration(self, value: str) -> float:
        try:
            return read_duration(value)
        except ValueError as error:
            raise ConfigError(f"--{self.name}={shown(value)}: {error}; {DURATION_FIX}") from None

    def _strength(self, value: str | Mapping[Any, Any]) -> str:
        """Converts strengths by layer, given as text or as a Python mapping, to the text that files use."""
        if isinstance(value, Mapping):
            require(all(isinstance(layer, str) and not {";", "="} & {*layer} and type(number) in (int, float)
                        and abs(number) < _MOST_WHOLE for layer, number in value.items()), self.name, value,
                    "give a finite number for each layer")
            value = ";".join(f"{layer}={number!r}" for layer, number in value.items())
        require("=" in value, self.name, value, "give a value of type float")
        try:
            return joined(read_layers(value))
        except ValueError as error:
            raise ConfigError(f"--{self.name}={shown(value)}: {error}") from None

    def _class_weights(self, value: str | Mapping[Any, Any]) -> str:
        """Converts weights of classes, given as text or as a Python mapping, to the text that files use."""
        if value == weights.BALANCED:
            return weights.BALANCED
        try:
            return weights.joined(weights.read_weights(value) if isinstance(value, str) else value)
        except ValueError as error:
            raise ConfigError(f"--{self.name}={shown(value)}: {error}") from None

    def check(self, value: Any) -> None:
        """Applies the checks to a value of the right type; None always passes.

        Raises:
          ConfigError: the value fails a check.
        """
        for check in self.checks if value is not None else ():
            check(self.name, value)


def flags_of(declared: type) -> dict[str, Flag]:
    """Maps the name of each field of a dataclass to its flag, in the order of the source."""
    return {field.name: Flag(field.name, str(field.type), field.default, **field.metadata)
            for field in dataclasses.fields(declared)}


def spelled(value: Any) -> str:
    """Returns a value as it would be given on the command line; empty for None."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
