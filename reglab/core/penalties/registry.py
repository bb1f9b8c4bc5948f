"""Which penalties there are, in the order in which they stand in the objective and in every file, table and picture."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from typing import Final

from reglab.core.penalties.base import Penalty
from reglab.core.penalties.l1 import L1
from reglab.core.penalties.l2 import L2

_PENALTIES: Final[dict[str, Penalty]] = {}
_TAKEN: Final = {"data", "data_loss", "penalty", "total", "accuracy"}
"""What stands beside the penalties' names in tags and files."""


def register(penalty: Penalty) -> None:
    """Makes a penalty known: from now on it has a flag, a field of `Config`, and a place in whatever a run leaves.

    To be called before anything is configured; flags, help, files and pictures are made from the registry.

    Raises:
      ValueError: its name is taken, or is no Python identifier.
    """
    name = penalty.name
    if not name.isidentifier() or keyword.iskeyword(name) or name in _TAKEN:
        raise ValueError(f"{name!r} is no name for a penalty: give a Python identifier that no other flag or tag has")
    if name in _PENALTIES:
        raise ValueError(f"there is a penalty named {name!r} already")
    _PENALTIES[name] = penalty


def reserve(names: Iterable[str]) -> None:
    """Keeps names from penalties: they are flags of a run, say."""
    _TAKEN.update(names)


def unregister(name: str) -> None:
    """Takes a penalty out again.

    Raises:
      KeyError: there is none of that name.
    """
    del _PENALTIES[name]


def registered() -> tuple[Penalty, ...]:
    """All of them, in order."""
    return tuple(_PENALTIES.values())


def names() -> tuple[str, ...]:
    """Their names, in order."""
    return tuple(_PENALTIES)


def standing() -> tuple[str, ...]:
    """The names of those that are a term of every program."""
    return tuple(name for name, penalty in _PENALTIES.items() if penalty.is_standing)


def get(name: str) -> Penalty:
    """The penalty of that name.

    Raises:
      KeyError: there is none.
    """
    return _PENALTIES[name]


register(L1())
register(L2())
