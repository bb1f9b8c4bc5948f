"""Checks on the values of flags. A check takes the flag's name and a value of the right type.

Each raises a `ConfigError` of one line: the flag, the value found and the fix.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from reglab.config.errors import ConfigError
from reglab.config.strengths import Strength, numbers
from reglab.core import models
from reglab.inputs.paths import Unusable, check_path, check_text
from reglab.inputs.texts import did_you_mean, shown

Check = Callable[[str, Any], None]


def require(ok: bool, name: str, value: object, fix: str) -> None:
    """Refuses `value` of the flag `name` unless `ok`.

    Args:
      fix: what to give instead, as a clause.

    Raises:
      ConfigError: `ok` is False.
    """
    if not ok:
        raise ConfigError(f"--{name}={shown(value)}: {fix}")


def holds(test: Callable[[Any], bool], fix: str) -> Check:
    """Returns a check that `test` is true of the value."""
    return lambda name, value: require(test(value), name, value, fix)


@dataclasses.dataclass(frozen=True)
class Named:
    """A check for a name, or a value for which `test` is true.

    Attributes:
      names: returns the names.
      otherwise: what may be given instead of a name, as the end of a clause.
    """

    names: Callable[[], Sequence[str]]
    test: Callable[[str], bool] = lambda value: False
    otherwise: str = ""

    def __call__(self, name: str, value: str) -> None:
        names = self.names()
        if value not in names and not self.test(value):
            require(False, name, value,
                    f"choose one of {', '.join(names)}{self.otherwise}{did_you_mean(value, names)}")


def one_of(*allowed: str) -> Check:
    """Returns a check for one of these names."""
    return Named(lambda: allowed)


def named_or(test: Callable[[str], bool], otherwise: str, *allowed: str) -> Check:
    """Returns a check for one of these names, or a value for which `test` is true; arguments as those of `Named`."""
    return Named(lambda: allowed, test, otherwise)


known_model = Named(models.names)
"""Checks for the name of a model registered so far."""


def names_in(checks: Sequence[Check]) -> tuple[str, ...]:
    """Returns the names that these checks let through; others may pass too."""
    return tuple(name for check in checks if isinstance(check, Named) for name in check.names())


def between(least: float, most: float, fix: str) -> Check:
    """Returns a check for a finite number from `least` to `most`.

    Args:
      fix: what to give instead of a smaller number or one that is not finite.
    """
    def check(name: str, value: float) -> None:
        require(is_finite(value) and value >= least, name, value, fix)
        require(value <= most, name, value, f"give at most {most:,}")
    return check


def strength() -> Check:
    """Returns a check for a finite number of at least 0, with no upper bound."""
    return between(0, math.inf, "give a finite number of at least 0, for example 1e-3")


def strength_everywhere(name: str, value: Strength) -> None:
    """Checks for a valid `strength` in every layer that the value names."""
    for number in numbers(value):
        strength()(name, number)


def positive(fix: str) -> Check:
    """Returns a check for a finite number above 0."""
    return holds(lambda value: is_finite(value) and value > 0, fix)


def usable(check: Callable[[str], None]) -> Check:
    """Returns a check for a text for which `check` does not raise `Unusable`."""
    def check_named(name: str, value: str) -> None:
        try:
            check(value)
        except Unusable as error:
            raise ConfigError(f"--{name}={shown(value)} cannot be used: {error}") from None
    return check_named


path = usable(check_path)
"""Checks for a path on this machine, whether or not it exists."""

text = usable(check_text)
"""Checks for a text of bounded length without control characters."""


def first_and_count(name: str, value: str) -> None:
    """Checks for `START:COUNT`: a step of at least 0 and a number of steps from 1 to 10,000."""
    first, colon, count = value.partition(":")
    numbers = [int(part) if part.isascii() and part.isdigit() and len(part) < 17 else -1 for part in (first, count)]
    require(bool(colon) and numbers[0] >= 0 and 1 <= numbers[1] <= 10_000, name, value,
            "give the first step and how many, at most 10,000, for example 100:20")


class _PatternOr(Named):
    """A check for a name or a regular expression."""

    def __call__(self, name: str, value: str) -> None:
        if value in self.names():
            return
        from reglab.inputs.patterns import (  # Slow to import, and few runs have a pattern.
            BadPattern,
            compile_pattern,
        )

        try:
            compile_pattern(value)
        except BadPattern as error:
            raise ConfigError(f"--{name}={shown(value)} is not a regular expression that can be used ({error}): give "
                              f"{', '.join(self.names())} or a pattern on layer names such as dense_[01]") from None


def pattern_or(*names: str) -> Check:
    """Returns a check for one of the names, or a regular expression."""
    return _PatternOr(lambda: names)


def is_finite(value: float) -> bool:
    """Whether a number is neither infinite nor NaN."""
    return isinstance(value, int) or math.isfinite(value)  # `isfinite` fails on large whole numbers.
