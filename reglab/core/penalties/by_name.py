"""A value for each penalty: what a configuration, a lane, a point or a grid has of its own by their names."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from reglab.core.penalties import registry

V = TypeVar("V")
C = TypeVar("C", bound=type)


class ByPenalty(Mapping[str, V], Generic[V]):
    """Name of each registered penalty to a value, in the registry's order; immutable, and hashable as its values are.

    Args:
      default: the value of those that are not given.

    Raises:
      TypeError: a name is not registered.
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
        """Those that are written down and shown: the standing ones, and where there is more than the default to say."""
        return {name: value for name, value in self.items() if name in self._given or name in registry.standing()}

    @property
    def given(self) -> dict[str, V]:
        """Those that are not the default."""
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
        # 0 equals 0.0, and so has to have its hash.
        return hash(tuple(item for item in self._given.items() if item[1] != self._default))

    def __repr__(self) -> str:
        return repr(self.told)


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)  # False and 0 are not 0.0, before they are checked.


def by_penalty_name(declared: C) -> C:
    """A dataclass with a field `strengths`, a `ByPenalty`, to which the penalties' names are fields as the others are.

    `declared(l1=1, …)`, `dataclasses.replace(x, l1=1)` and `x.l1` do what they would if l1 were declared; only that
    `dataclasses.fields` and `asdict` do not know of it: `as_dict` does.
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
    """The fields of such a dataclass by name, with what is told of each penalty in the place of `strengths`."""
    told: dict[str, Any] = {}
    for field in dataclasses.fields(instance):
        told |= instance.strengths.told if field.name == "strengths" else {field.name: getattr(instance, field.name)}
    return told
