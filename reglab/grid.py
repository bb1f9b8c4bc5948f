"""The grid of a sweep: values, lists and log ranges of what may differ from lane to lane. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Final, TypeVar

from reglab.config import Config, ConfigError

_FIX: Final = "give numbers such as 0,1e-4,1e-3, or low:high:count for a range on a log scale such as 1e-5:1e-2:8"
_MOST_IN_RANGE: Final = 1000
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
    def points(self) -> list[Point]:
        """All points; l2 varies fastest, then l1, learning rate, penalized layers."""
        return [Point(l1, l2, learning_rate, penalize) for penalize, learning_rate, l1, l2 in
                itertools.product(self.penalize, self.learning_rate, self.l1, self.l2)]

    def checked(self, shared: Config) -> Grid:
        """Itself, once every value has been accepted by `Config`.

        Raises:
          ConfigError: one was not.
        """
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
    values: set[float] = set()
    for part in text.split(","):
        try:
            values.update(_range(*part.split(":")) if ":" in part else [_finite(part)])
        except (ValueError, TypeError) as error:  # TypeError: not three parts.
            why = f" ({error})" if isinstance(error, _WrongRange) else ""
            raise ConfigError(f"--{name}={text}: {part.strip()!r} cannot be used{why}: {_FIX}") from None
    return tuple(sorted(values))


def parse_patterns(name: str, text: str) -> tuple[str, ...]:
    """`all;hidden;dense_[0,1]` as texts without duplicates, in their order; `;`, as a pattern may hold a comma.

    Raises:
      ConfigError: a part is empty.
    """
    parts = [part.strip() for part in text.split(";")]
    if not all(parts):
        raise ConfigError(f"--{name}={text}: a part is empty: give all, hidden or patterns on layer names, separated "
                          "by ; such as 'all;hidden'")
    return tuple(dict.fromkeys(parts))


class _WrongRange(ValueError):
    pass


def _range(low_text: str, high_text: str, count_text: str) -> list[float]:
    low, high, count = _finite(low_text), _finite(high_text), int(count_text)
    if not 0 < low < high:
        raise _WrongRange("a range on a log scale needs 0 < low < high; list 0 apart")
    if not 2 <= count <= _MOST_IN_RANGE:
        raise _WrongRange(f"a range has from 2 to {_MOST_IN_RANGE} values")
    between = [low * math.exp(math.log(high / low) * i / (count - 1)) for i in range(1, count - 1)]
    return [low, *(float(f"{value:.12g}") for value in between), high]


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value + 0.0  # -0 becomes 0.
