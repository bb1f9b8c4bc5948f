"""The grid of a sweep: values, lists and log ranges of what may differ from lane to lane. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Final, TypeVar

from reglab.config import Config, ConfigError
from reglab.numerals import read_float, read_integer
from reglab.texts import shown

_FIX: Final = "give numbers such as 0,1e-4,1e-3, or low:high:count for a range on a log scale such as 1e-5:1e-2:8"
MOST_VALUES: Final = 1000
"""Of one flag, repeated ones counted."""
MOST_PATTERNS: Final = 100
"""Of `penalize`: to compile one takes a thousandth of a second."""
MOST_LANES: Final = 100_000
"""Of a sweep or comparison: points x seeds x folds."""
_Value = TypeVar("_Value", float, str)


@dataclasses.dataclass(frozen=True)
class Point:
    """One place of the grid; its lanes differ in their seed alone."""

    l1: float
    l2: float
    learning_rate: float
    penalize: str


@dataclasses.dataclass(frozen=True)
class Grid:
    """Every combination of its values. Numbers ascend, `penalize` keeps its order, nothing occurs twice."""

    l1: tuple[float, ...] = (0.0,)
    l2: tuple[float, ...] = (0.0,)
    learning_rate: tuple[float, ...] = (1e-3,)
    penalize: tuple[str, ...] = ("all",)

    @property
    def size(self) -> int:
        """How many points there are."""
        return len(self.penalize) * len(self.learning_rate) * len(self.l1) * len(self.l2)

    @property
    def points(self) -> list[Point]:
        """All points; l2 varies fastest, then l1, learning rate, penalized layers."""
        return [Point(l1, l2, learning_rate, penalize) for penalize, learning_rate, l1, l2 in
                itertools.product(self.penalize, self.learning_rate, self.l1, self.l2)]

    def checked(self, shared: Config) -> Grid:
        """Itself, once every value has been accepted by `Config`.

        Raises:
          ConfigError: one was not, or there are too many points.
        """
        if self.size > MOST_LANES:
            raise ConfigError(f"the flags of the grid make {self.size:,} points, and a sweep has at most "
                              f"{MOST_LANES:,} lanes: give fewer values")
        for name, values in dataclasses.asdict(self).items():
            for value in values:
                dataclasses.replace(shared, **{name: value})
        return self


def parse_grid(shared: Config, *, l1: str | None = None, l2: str | None = None, learning_rate: str | None = None,
               penalize: str | None = None) -> Grid:
    """The grid that flags describe; one that is not given has the single value of `shared`.

    Raises:
      ConfigError: a text cannot be read, or a value cannot be used.
    """
    def read(name: str, text: str | None, parse: Callable[[str, str], tuple[_Value, ...]],
             default: _Value) -> tuple[_Value, ...]:
        return (default,) if text is None else parse(name, text)

    return Grid(read("l1", l1, parse_numbers, shared.l1), read("l2", l2, parse_numbers, shared.l2),
                read("learning_rate", learning_rate, parse_numbers, shared.learning_rate),
                read("penalize", penalize, parse_patterns, shared.penalize)).checked(shared)


def parse_numbers(name: str, text: str) -> tuple[float, ...]:
    """`0,1e-5:1e-2:8` as ascending numbers without duplicates: values and log ranges, separated by commas.

    A range has `count` numbers in a constant ratio from `low` to `high`, both included, rounded to 12 digits.

    Raises:
      ConfigError: the text is none of that; the message names the flag `name`.
    """
    values: list[float] = []
    for part in text.split(","):
        try:
            values.extend(_range(*part.split(":")) if ":" in part else [_finite(part)])
        except (ValueError, TypeError) as error:  # TypeError: not three parts.
            why = f" ({error})" if isinstance(error, ValueError) else ""
            raise ConfigError(f"--{name}={shown(text)}: '{shown(part.strip(), 60)}' cannot be used{why}: {_FIX}"
                              ) from None
        if len(values) > MOST_VALUES:
            raise ConfigError(f"--{name}={shown(text)} has more than {MOST_VALUES:,} values: give fewer")
    return tuple(sorted(set(values)))


def parse_patterns(name: str, text: str) -> tuple[str, ...]:
    """`all;hidden;dense_[0,1]` as texts without duplicates, in their order; `;`, as a pattern may hold a comma.

    Raises:
      ConfigError: a part is empty.
    """
    parts = [part.strip() for part in text.split(";")]
    if not all(parts):
        raise ConfigError(f"--{name}={shown(text)}: a part is empty: give all, hidden or patterns on layer names, "
                          "separated by ; such as 'all;hidden'")
    if len(parts) > MOST_PATTERNS:
        raise ConfigError(f"--{name}={shown(text)} has more than {MOST_PATTERNS:,} parts: give fewer")
    return tuple(dict.fromkeys(parts))


def _range(low_text: str, high_text: str, count_text: str) -> list[float]:
    low, high, count = _finite(low_text), _finite(high_text), read_integer(count_text)
    if not 0 < low < high:
        raise ValueError("a range on a log scale needs 0 < low < high; list 0 apart")
    if high / low > 1e300:
        raise ValueError("its ends are too far apart")
    if not 2 <= count <= MOST_VALUES:
        raise ValueError(f"a range has from 2 to {MOST_VALUES:,} values")
    between = [low * math.exp(math.log(high / low) * i / (count - 1)) for i in range(1, count - 1)]
    return [low, *(float(f"{value:.12g}") for value in between), high]


def _finite(text: str) -> float:
    value = read_float(text)
    if not math.isfinite(value):
        raise ValueError("it is not finite")
    return value + 0.0  # -0 becomes 0.
