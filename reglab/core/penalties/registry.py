"""The registry of penalties, in the order in which they appear in the objective and in all files, tables, pictures."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from typing import Final

from reglab.core.penalties.base import Penalty
from reglab.core.penalties.group_l1 import GroupL1
from reglab.core.penalties.l1 import L1
from reglab.core.penalties.l2 import L2

_PENALTIES: Final[dict[str, Penalty]] = {}
_TAKEN: Final = {"data", "data_loss", "penalty", "total", "accuracy"}
"""Names that stand beside those of penalties in tags and files."""


def register(penalty: Penalty) -> None:
    """Makes a penalty known: it gets a flag, a field of `Config`, and a place in everything that a run writes.

    Call it before anything is configured; flags, help, files and pictures are made from the registry.

    Raises:
      ValueError: the name is taken or is not a Python identifier.
    """
    name = penalty.name
    if not name.isidentifier() or keyword.iskeyword(name) or name in _TAKEN:
        raise ValueError(f"{name!r} is no name for a penalty: give a Python identifier that no other flag or tag has")
    if name in _PENALTIES:
        raise ValueError(f"there is a penalty named {name!r} already")
    _PENALTIES[name] = penalty


def reserve(names: Iterable[str]) -> None:
    """Makes names unavailable to penalties, for instance because they are flags of a run."""
    _TAKEN.update(names)


def unregister(name: str) -> None:
    """Removes a penalty.

    Raises:
      KeyError: there is no penalty of this name.
    """
    del _PENALTIES[name]


def registered() -> tuple[Penalty, ...]:
    """All penalties, in order."""
    return tuple(_PENALTIES.values())


def names() -> tuple[str, ...]:
    """The names of all penalties, in order."""
    return tuple(_PENALTIES)


def standing() -> tuple[str, ...]:
    """The names of the penalties that are a term of every program."""
    return tuple(name for name, penalty in _PENALTIES.items() if penalty.is_standing)


def get(name: str) -> Penalty:
    """Returns the penalty of this name.

    Raises:
      KeyError: there is no penalty of this name.
    """
    return _PENALTIES[name]


register(L1())
register(L2())
register(GroupL1())  # After L1: the order in which proximal operators act.
