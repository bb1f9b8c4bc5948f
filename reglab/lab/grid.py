"""The grid of a sweep: values, lists and log ranges of the settings that may differ. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any, Final

from reglab.config import Config, ConfigError
from reglab.config.strengths import Strength, read_strength
from reglab.core.penalties.by_name import ByPenalty, as_dict, by_penalty_name
from reglab.inputs.numerals import read_float, read_integer
from reglab.inputs.texts import shown

_FIX: Final = "give numbers such as 0,1e-4,1e-3, or low:high:count for a range on a log scale such as 1e-5:1e-2:8"
MOST_VALUES: Final = 1000
"""The most values of one flag, counting repeated ones."""
MOST_PATTERNS: Final = 100
"""The most patterns in `penalize`: compiling one takes a millisecond."""
MOST_LANES: Final = 100_000
"""The most lanes of a sweep or comparison: points x seeds x folds."""


@by_penalty_name
@dataclasses.dataclass(frozen=True)
class Point:
    """One place of the grid; its lanes differ in their seed only.

    The penalties' names are fields too: `Point(l1=1e-3)`.
    """

    strengths: ByPenalty[Strength] = ByPenalty(0.0, {})
    learning_rate: float = 1e-3
    penalize: str = "all"

    def __post_init__(self) -> None:
        object.__setattr__(self, "strengths", ByPenalty(0.0, self.strengths))


@by_penalty_name
@dataclasses.dataclass(frozen=True)
class Grid:
    """Every combination of its values. Numbers ascend, `penalize` keeps its order, nothing occurs twice.

    The penalties' names are fields too: `Grid(l1=(0.0, 1e-3))`.
    """

    strengths: ByPenalty[tuple[Strength, ...]] = ByPenalty((0.0,), {})
    learning_rate: tuple[float, ...] = (1e-3,)
    penalize: tuple[str, ...] = ("all",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "strengths", ByPenalty((0.0,), self.strengths))

    @property
    def size(self) -> int:
        """The number of points."""
        return math.prod(map(len, (self.penalize, self.learning_rate, *self.strengths.values())))

    @property
    def points(self) -> list[Point]:
        """All points; the strengths of the last penalty vary fastest, those of the first slower, then learning rate,
        then penalized layers."""
        names, combinations = list(self.strengths), list(itertools.product(*self.strengths.values()))
        return [Point(ByPenalty(0.0, dict(zip(names, strengths, strict=True))), learning_rate, penalize)
                for penalize, learning_rate in itertools.product(self.penalize, self.learning_rate)
                for strengths in combinations]

    @property
    def values(self) -> dict[str, tuple[Any, ...]]:
        """Maps names of the settings that define points to their values: penalties, learning rate, penalized layers."""
        return as_dict(self)

    def described(self, point: Point) -> dict[str, Any]:
        """Returns a point as JSON values, under the same names as all others of this grid."""
        return {name: point.strengths[name] if name in self.strengths else getattr(point, name) for name in self.values}

    def checked(self, shared: Config) -> Grid:
        """Returns the grid itself after `Config` has accepted every value.

        Raises:
          ConfigError: a value was not accepted, or there are too many points.
        """
        if self.size > MOST_LANES:
            raise ConfigError(f"the flags of the grid make {self.size:,} points, and a sweep has at most "
                              f"{MOST_LANES:,} lanes: give fewer values")
        for name, values in self.values.items():
            for value in values:
                dataclasses.replace(shared, **{name: value})
        return self


def parse_grid(shared: Config, **texts: str | None) -> Grid:
    """Returns the grid that flags describe; a flag that is not given has the single value of `shared`.

    Args:
      texts: the texts of `learning_rate`, `penalize` and the penalties, by name.

    Raises:
      ConfigError: a text cannot be read, or a value cannot be used.
    """
    def read(name: str, parse: Callable[[str, str], tuple[Any, ...]], default: Any) -> tuple[Any, ...]:
        text = texts.get(name)
        return (default,) if text is None else parse(name, text)

    strengths = {name: read(name, parse_strengths, value) for name, value in shared.strengths.items()}
    return Grid(ByPenalty((0.0,), strengths), read("learning_rate", parse_numbers, shared.learning_rate),
                read("penalize", parse_patterns, shared.penalize)).checked(shared)


def parse_strengths(name: str, text: str) -> tuple[Strength, ...]:
    """Reads numbers as `parse_numbers` does, or strengths given layer by layer, such as `dense_0=1e-3`.

    Raises:
      ConfigError: the text is neither; the message names the flag `name`.
    """
    if "=" not in text:
        return parse_numbers(name, text)
    try:
        return (read_strength(text),)
    except ValueError as error:
        raise ConfigError(f"--{name}={shown(text)}: {error}") from None


def parse_numbers(name: str, text: str) -> tuple[float, ...]:
    """Reads values and log ranges separated by commas, as `0,1e-5:1e-2:8`; returns ascending, distinct numbers.

    A range has `count` numbers from `low` to `high`, both included, in a constant ratio and rounded to 12 digits.

    Raises:
      ConfigError: the text is something else; the message names the flag `name`.
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
    """Reads `all;hidden;dense_[0,1]` as texts without duplicates, in order; it uses `;`, as a pattern may hold a comma.

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
