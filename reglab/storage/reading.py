"""Files that may be damaged: read, or a reason given in a few words, whatever stands in their place."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pathlib
import stat
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

_LARGEST_OBJECT: Final = 1 << 24
"""Bytes of the largest JSON file that is read whole; the largest that reglab writes is a thousandth of it."""


_SEAL: Final = "sha256"
_PIECE: Final = 1 << 24


class Unreadable(ValueError):
    """The reason why a file cannot be used, to be put behind its name: "is missing", "is no JSON"."""


class Missing(Unreadable):
    """There is no such file."""


def read_bytes(path: pathlib.Path, limit: int | None = None) -> bytes:
    """The contents of a file.

    Args:
      limit: how many bytes it may have; None is an eighth of memory, as those who read it make copies: a file with
        holes in it may say that it has as many as it likes.

    Raises:
      Missing: there is nothing of that name.
      Unreadable: it is no ordinary file, has more than `limit` bytes, or the system refuses.
    """
    return b"".join(_pieces(path, _memory() // 8 if limit is None else limit))


def file_digest(path: pathlib.Path) -> str:
    """The SHA-256 of a file of any size that memory could hold.

    Raises:
      Missing, Unreadable: as `read_bytes`.
    """
    digest = hashlib.sha256()
    for piece in _pieces(path, _memory()):
        digest.update(piece)
    return digest.hexdigest()


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _pieces(path: pathlib.Path, limit: int) -> Iterator[bytes]:
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISDIR(kind):
            raise Unreadable("is a folder, not a file")
        if not stat.S_ISREG(kind):  # A pipe or a device might never end.
            raise Unreadable("is no ordinary file")
        if os.stat(path).st_size > limit:
            raise Unreadable(f"has more than {limit:,} bytes")
        left = limit
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                yield piece
                left -= len(piece)
                if left < 0:
                    raise Unreadable(f"has more than {limit:,} bytes")
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise Unreadable("is a link to nothing") from None
        raise Missing("is missing") from None
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror or error})") from None


def read_object(path: pathlib.Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
      Missing: there is nothing of that name.
      Unreadable: it cannot be read or holds something else.
    """
    content = read_bytes(path, _LARGEST_OBJECT)
    try:
        return parse_object(content)
    except ValueError:
        raise Unreadable("is empty" if not content.strip(b"\0 \n") else "holds no JSON object") from None


def parse_object(text: bytes) -> dict[str, Any]:
    """The JSON object that a text is, strictly: no NaN, no infinity.

    Raises:
      ValueError: it is none.
    """
    try:
        read = json.loads(text.decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(read, dict):
        raise ValueError("no object")
    return read


def sealed(fields: Mapping[str, Any]) -> str:
    """A JSON object as text, with a digest of itself, for `read_sealed`: no other change to it goes unnoticed."""
    return json.dumps({**fields, _SEAL: _digest(fields)}, indent=2) + "\n"


def read_sealed(path: pathlib.Path) -> dict[str, Any]:
    """The fields that `sealed` wrote.

    Raises:
      Missing: there is nothing of that name.
      Unreadable: it cannot be read, or is not as it was written.
    """
    fields = read_object(path)
    if not read_bytes(path, _LARGEST_OBJECT).endswith(b"\n"):
        raise Unreadable("is damaged: its last byte is gone")
    if fields.pop(_SEAL, None) != _digest(fields):
        raise Unreadable("is not as it was written")
    return fields


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def is_count(value: Any) -> bool:
    """Whether a value read from JSON is a whole number of at least 0 that a step or an epoch may be."""
    return type(value) is int and 0 <= value < 2**63


def is_number(value: Any) -> bool:
    """Whether a value read from JSON is a finite number."""
    return type(value) in (int, float) and abs(value) < 2**1023 and math.isfinite(value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
