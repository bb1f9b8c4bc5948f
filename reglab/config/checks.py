"""Checks on the values of flags. A check takes the flag's name and a value of the right type.

Each raises a `ConfigError` of one line: the flag, the value found and the fix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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


def one_of(*allowed: str) -> Check:
    """Returns a check for one of these names."""
    return named_or(lambda value: False, "", *allowed)


def named_or(test: Callable[[str], bool], otherwise: str, *allowed: str) -> Check:
    """Returns a check for one of these names, or a value for which `test` is true.

    Args:
      otherwise: what may be given instead of a name, as the end of a clause.
    """
    def check(name: str, value: str) -> None:
        if value not in allowed and not test(value):
            require(False, name, value,
                    f"choose one of {', '.join(allowed)}{otherwise}{did_you_mean(value, allowed)}")
    return check


def known_model(name: str, value: str) -> None:
    """Checks for the name of a model registered so far."""
    one_of(*models.names())(name, value)


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


def pattern_or(*names: str) -> Check:
    """Returns a check for one of the names, or a regular expression."""
    def check(name: str, value: str) -> None:
        if value in names:
            return
        from reglab.inputs.patterns import (  # Slow to import, and few runs have a pattern.
            BadPattern,
            compile_pattern,
        )

        try:
            compile_pattern(value)
        except BadPattern as error:
            raise ConfigError(f"--{name}={shown(value)} is not a regular expression that can be used ({error}): give "
                              f"{', '.join(names)} or a pattern on layer names such as dense_[01]") from None
    return check


def is_finite(value: float) -> bool:
    """Whether a number is neither infinite nor NaN."""
    return isinstance(value, int) or math.isfinite(value)  # `isfinite` fails on large whole numbers.
