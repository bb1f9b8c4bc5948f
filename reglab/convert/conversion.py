"""`convert`: from the words of one library to reglab's strengths, and from these to the words of all."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

from reglab.config import MOST_COUNT, ConfigError
from reglab.config.checks import one_of, require
from reglab.convert import linear, training
from reglab.convert.base import Convention, Parameter, Problem, Strengths, Words

CONVENTIONS: Final[Mapping[str, Convention]] = {
    convention.name: convention for convention in (*training.CONVENTIONS, *linear.CONVENTIONS)}
"""The conventions by name, in the order in which they are shown."""
_MOST: Final = 1e300
"""The largest strength: that of every library is then a float64."""


@dataclasses.dataclass(frozen=True)
class Conversion:
    """The same strengths in the words of every library.

    Attributes:
      source: the name of the convention that they were given in.
      given: the values that they were given as, defaults included.
      problem: what else was known.
      strengths: λ1 and λ2 in reglab.
      words: maps the name of each convention to its words.
    """

    source: str
    given: Mapping[str, float]
    problem: Problem
    strengths: Strengths
    words: Mapping[str, Words]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain JSON values; an infinite C, which means no penalty, is null."""
        return {"from": self.source, "given": dict(self.given), **self.problem._asdict(),
                "strengths": self.strengths._asdict(),
                "words": {name: {**_assumptions(CONVENTIONS[name]), **words._asdict()}
                          for name, words in self.words.items()}}


def convert(source: str, values: Mapping[str, float | None], *, examples: int | None = None,
            classes: int | None = None) -> Conversion:
    """Converts strengths from the words of one library to those of all.

    Args:
      source: the name of one of `CONVENTIONS`.
      values: its parameters by name; None is the same as not given.
      examples: the number of training examples.
      classes: the number of classes; None for three or more.

    Raises:
      ConfigError: a name is unknown, a value is missing or cannot be used.
      NoEquivalent: no strengths of reglab do what the library does.
    """
    one_of(*CONVENTIONS)("from", source)
    for name, count, least in (("examples", examples, 1), ("classes", classes, 2)):
        if count is not None:
            require(least <= count <= MOST_COUNT, name, count, f"give a whole number from {least} to {MOST_COUNT:,}")
    convention, problem = CONVENTIONS[source], Problem(examples, classes)
    given = _complete(convention, values)
    strengths = convention.strengths(given, problem)
    if not max(strengths) <= _MOST:
        raise ConfigError(f"--from={source}: the strength is more than {_MOST:g}: give other values")
    return Conversion(source, given, problem, strengths,
                      {name: each.words(strengths, problem) for name, each in CONVENTIONS.items()})


def _assumptions(convention: Convention) -> dict[str, Any]:
    return {name: getattr(convention, name) for name in ("title", "loss", "l2", "biases", "notes")}


def _complete(convention: Convention, values: Mapping[str, float | None]) -> dict[str, float]:
    """Returns the value of every parameter, given or default.

    Raises:
      ConfigError: one is missing, out of range, or none of the library's.
    """
    given = {name: value for name, value in values.items() if value is not None}
    names = [parameter.name for parameter in convention.parameters]
    takes = " and ".join(f"--{name}" for name in names)
    for name in given:
        if name not in names:
            raise ConfigError(f"--{name} is no parameter of --from={convention.name}: it takes {takes}")
    missing = [parameter.name for parameter in convention.parameters
               if parameter.default is None and parameter.name not in given]
    if missing or not given:
        lacking = " or ".join(f"--{name}" for name in missing or names)
        raise ConfigError(f"--from={convention.name} takes {takes}: give {lacking}")
    return {parameter.name: _checked(parameter, given.get(parameter.name, parameter.default))
            for parameter in convention.parameters}


def _checked(parameter: Parameter, value: float | None) -> float:
    assert value is not None  # `_complete` has looked for missing ones.
    highest = "" if math.isinf(parameter.most) else f" and at most {parameter.most:g}"
    may_be_infinite = parameter.name == "C"  # The inverse of no penalty.
    require(0 <= value <= parameter.most and (math.isfinite(value) or may_be_infinite), parameter.name, value,
            f"give a finite number of at least 0{highest}")
    return float(value)
