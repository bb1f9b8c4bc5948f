"""Picks values out of JSON that may be damaged or hand-written: each is of the type asked for, or it is None."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from reglab.inputs.texts import shown
from reglab.storage.reading import Unreadable, is_count, is_number

_MOST_TEXT: Final = 4000
_DEEPEST: Final = 30
Told = TypeVar("Told", bound=Mapping[str, Any])


def told_in(read: Callable[[pathlib.Path], Told], path: pathlib.Path) -> Told:
    """Returns the object that `read` finds in a file, if it is not nested so deeply that it could not be told again.

    Raises:
      Missing, Unreadable: as `read`, or it is.
    """
    told = read(path)
    level: list[Any] = [told]
    for _ in range(_DEEPEST):
        level = [each for value in level if isinstance(value, list | Mapping)
                 for each in (value.values() if isinstance(value, Mapping) else value)]
        if not level:
            return told
    raise Unreadable("is nested too deeply")


def value_at(value: Any, *places: str | int) -> Any:
    """Returns what lies at a path of names and list positions, or None if there is no such place."""
    for place in places:
        if isinstance(value, Mapping):
            value = value.get(place)
        elif isinstance(value, list) and isinstance(place, int) and -len(value) <= place < len(value):
            value = value[place]
        else:
            return None
    return value


def number_at(value: Any, *places: str | int) -> float | None:
    """Returns the finite number at a path, or None."""
    found = value_at(value, *places)
    return float(found) if is_number(found) else None


def count_at(value: Any, *places: str | int) -> int | None:
    """Returns the whole number from 0 on at a path, or None."""
    found = value_at(value, *places)
    return found if is_count(found) else None


def text_at(value: Any, *places: str | int) -> str | None:
    """Returns the text at a path, on one line and of bounded length, or None."""
    found = value_at(value, *places)
    return shown(found, _MOST_TEXT) if isinstance(found, str) else None


def mapping_at(value: Any, *places: str | int) -> Mapping[str, Any]:
    """Returns the object at a path, or an empty one."""
    found = value_at(value, *places)
    return found if isinstance(found, Mapping) else {}


def list_at(value: Any, *places: str | int) -> Sequence[Any]:
    """Returns the list at a path, or an empty one."""
    found = value_at(value, *places)
    return found if isinstance(found, list) else []


def numbers_at(value: Any, *places: str | int) -> list[float | None]:
    """Returns the list of numbers at a path, with None for whatever in it is no finite number."""
    found = list_at(value, *places)
    return [number_at(found, at) for at in range(len(found))]


def texts_at(value: Any, *places: str | int) -> list[str]:
    """Returns the texts of the list at a path."""
    found = list_at(value, *places)
    return [text for at in range(len(found)) if (text := text_at(found, at)) is not None]
