"""One value for each penalty: how a configuration, lane, point or grid stores what it sets per penalty, by name."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from reglab.core.penalties import registry

V = TypeVar("V")
C = TypeVar("C", bound=type)


class ByPenalty(Mapping[str, V], Generic[V]):
    """Maps the name of each registered penalty to a value, in registry order; immutable, hashable if its values are.

    Args:
      default: the value of penalties that are not in `given`.
      given: the values that are set, by name.

    Raises:
      TypeError: a name in `given` is not registered.
    """

    def __init__(self, default: V, given: Mapping[str, V]) -> None:
        known = registry.names()
        unknown = [name for name in given if name not in known]
        if unknown:
            raise TypeError(f"there is no penalty named {unknown[0]!r}: there are {', '.join(known)}")
        self._default = default
        self._given = {name: given[name] for name in known if name in given and not _same(given[name], default)}

    @property
    def told(self) -> dict[str, V]:
        """The values that are written and shown: those of standing penalties and those that differ from the default."""
        return {name: value for name, value in self.items() if name in self._given or name in registry.standing()}

    @property
    def given(self) -> dict[str, V]:
        """The values that differ from the default."""
        return dict(self._given)

    def __getitem__(self, name: str) -> V:
        if name not in registry.names():
            raise KeyError(name)
        return self._given.get(name, self._default)

    def __iter__(self) -> Iterator[str]:
        return iter(registry.names())

    def __len__(self) -> int:
        return len(registry.names())

    def __hash__(self) -> int:
        # 0 == 0.0, so the two must have the same hash.
        return hash(tuple(item for item in self._given.items() if item[1] != self._default))

    def __repr__(self) -> str:
        return repr(self.told)


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)  # Until checked, keep False and 0 apart from 0.0.


def by_penalty_name(declared: C) -> C:
    """Class decorator for a dataclass with a `ByPenalty` field `strengths`: makes each penalty's name act as a field.

    `declared(l1=1, …)`, `dataclasses.replace(x, l1=1)` and `x.l1` work as if l1 were a declared field. Only
    `dataclasses.fields` and `asdict` do not see it; use `as_dict` instead.
    """
    original = declared.__init__  # type: ignore[misc]

    @functools.wraps(original)
    def initialize(self: Any, *values: Any, **fields: Any) -> None:
        own = {name: fields.pop(name) for name in registry.names() if name in fields}
        if own:
            fields["strengths"] = {**fields.get("strengths", {}), **own}
        original(self, *values, **fields)

    def attribute(self: Any, name: str) -> Any:
        if name in registry.names():
            return self.strengths[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    declared.__init__ = initialize  # type: ignore[misc]
    declared.__getattr__ = attribute  # type: ignore[attr-defined]
    return declared


def as_dict(instance: Any) -> dict[str, Any]:
    """The fields of such a dataclass by name, with the penalties' `told` values in place of `strengths`."""
    told: dict[str, Any] = {}
    for field in dataclasses.fields(instance):
        told |= instance.strengths.told if field.name == "strengths" else {field.name: getattr(instance, field.name)}
    return told
