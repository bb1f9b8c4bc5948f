"""What the value of a flag can be held to. A check takes the flag's name and a value of the right type.

Each raises `ConfigError`, one line: the flag, the value found and the fix.
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
    """Refuses `value` of the flag `name` unless it is ok.

    Args:
      fix: what to give instead, as a clause.
    """
    if not ok:
        raise ConfigError(f"--{name}={shown(value)}: {fix}")


def holds(test: Callable[[Any], bool], fix: str) -> Check:
    """That `test` is true of the value."""
    return lambda name, value: require(test(value), name, value, fix)


def one_of(*allowed: str) -> Check:
    """One of these names."""
    return named_or(lambda value: False, "", *allowed)


def named_or(test: Callable[[str], bool], otherwise: str, *allowed: str) -> Check:
    """One of these names, or what `test` is true of.

    Args:
      otherwise: what may be given instead of a name, as the end of a clause.
    """
    def check(name: str, value: str) -> None:
        if value not in allowed and not test(value):
            require(False, name, value,
                    f"choose one of {', '.join(allowed)}{otherwise}{did_you_mean(value, allowed)}")
    return check


def known_model(name: str, value: str) -> None:
    """The name of a model that is registered by now."""
    one_of(*models.names())(name, value)


def between(least: float, most: float, fix: str) -> Check:
    """A finite number from `least` to `most`.

    Args:
      fix: what to give where it is less.
    """
    def check(name: str, value: float) -> None:
        require(is_finite(value) and value >= least, name, value, fix)
        require(value <= most, name, value, f"give at most {most:,}")
    return check


def strength() -> Check:
    """A finite number of at least 0, of any size that the precision holds."""
    return between(0, math.inf, "give a finite number of at least 0, for example 1e-3")


def strength_everywhere(name: str, value: Strength) -> None:
    """A `strength`, in every layer that is named."""
    for number in numbers(value):
        strength()(name, number)


def positive(fix: str) -> Check:
    """A finite number above 0."""
    return holds(lambda value: is_finite(value) and value > 0, fix)


def usable(check: Callable[[str], None]) -> Check:
    """A text that `check` does not find `Unusable`."""
    def check_named(name: str, value: str) -> None:
        try:
            check(value)
        except Unusable as error:
            raise ConfigError(f"--{name}={shown(value)} cannot be used: {error}") from None
    return check_named


path = usable(check_path)
"""A file or folder of this machine, there or not."""

text = usable(check_text)
"""A text of bounded length without control characters."""


def pattern_or(*names: str) -> Check:
    """One of the names, or a regular expression."""
    def check(name: str, value: str) -> None:
        if value in names:
            return
        from reglab.inputs.patterns import (  # Few runs have a pattern, and it takes a while.
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
    return isinstance(value, int) or math.isfinite(value)  # Large whole numbers are no floats.
