"""Reads files that may be damaged: returns their contents or gives a short reason, whatever is in their place."""

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
"""The size in bytes of the largest JSON file that is read; reglab itself writes at most a thousandth of that."""


_SEAL: Final = "sha256"
_PIECE: Final = 1 << 24


class Unreadable(ValueError):
    """A file cannot be used; the message is the reason, to follow the file's name: "is missing", "is no JSON"."""


class Missing(Unreadable):
    """The file does not exist."""


def read_bytes(path: pathlib.Path, limit: int | None = None) -> bytes:
    """Returns the contents of a file.

    Args:
      limit: the largest size in bytes. None means an eighth of memory, since callers make copies; a sparse file can
        claim any size.

    Raises:
      Missing: the file does not exist.
      Unreadable: it is not an ordinary file, has more than `limit` bytes, or the system refuses.
    """
    return b"".join(_pieces(path, _memory() // 8 if limit is None else limit))


def file_digest(path: pathlib.Path) -> str:
    """Returns the SHA-256, in hexadecimal, of a file that is at most as large as memory.

    Raises:
      Missing, Unreadable: as in `read_bytes`.
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
    """Returns the JSON object in a file.

    Raises:
      Missing: the file does not exist.
      Unreadable: it cannot be read, or holds something else.
    """
    content = read_bytes(path, _LARGEST_OBJECT)
    try:
        return parse_object(content)
    except ValueError:
        raise Unreadable("is empty" if not content.strip(b"\0 \n") else "holds no JSON object") from None


def parse_object(text: bytes) -> dict[str, Any]:
    """Parses a JSON object strictly, without NaN and infinity.

    Raises:
      ValueError: the text is not a JSON object.
    """
    try:
        read = json.loads(text.decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(read, dict):
        raise ValueError("no object")
    return read


def sealed(fields: Mapping[str, Any]) -> str:
    """Returns a JSON object as text, with a digest of itself, so that `read_sealed` detects any other change to it."""
    return json.dumps({**fields, _SEAL: _digest(fields)}, indent=2) + "\n"


def read_sealed(path: pathlib.Path) -> dict[str, Any]:
    """Returns the fields that `sealed` wrote.

    Raises:
      Missing: the file does not exist.
      Unreadable: it cannot be read, or was changed since it was written.
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
    """Whether a value read from JSON is an integer from 0 to 2⁶³ − 1, the range of steps and epochs."""
    return type(value) is int and 0 <= value < 2**63


def is_number(value: Any) -> bool:
    """Whether a value read from JSON is a finite number."""
    return type(value) in (int, float) and abs(value) < 2**1023 and math.isfinite(value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
