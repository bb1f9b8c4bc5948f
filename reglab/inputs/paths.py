"""Paths and files that a user names: what cannot be one is refused untouched, and nothing endless is read."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import stat
from typing import IO, Final

from reglab.inputs.texts import shown

MOST_TEXT: Final = 4096
"""Characters of a text such as a path or a pattern: as many as Linux allows a path."""
MOST_SMALL_FILE: Final = 2**20
"""Bytes of a file of flags or of a configuration."""
_PIECE: Final = 2**20  # Python sets aside at once what is asked for.
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Unusable(ValueError):
    """A text or file of the user's cannot be used; the message is a clause that says why."""


def check_text(text: str, most: int = MOST_TEXT) -> None:
    """Raises:
      Unusable: it has characters that no text of a flag has, or too many.
    """
    if len(text) > most:
        raise Unusable(f"it has {len(text):,} characters, and at most {most:,} are taken")
    if text.isprintable():
        return
    for c in text:
        if 0xD800 <= ord(c) < 0xE000:
            raise Unusable("it is no text in UTF-8")
        if ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029":
            raise Unusable(f"it holds the control character {shown(c)}")


def check_path(path: str) -> None:
    """Raises:
      Unusable: it is an address such as gs://bucket/x, or no text. reglab reads and writes plain files alone.
    """
    check_text(path)
    if scheme := _SCHEME.match(path):
        raise Unusable(f"{shown(scheme[0])} is not supported, only files and folders of this machine")


def place_of(path: str) -> pathlib.Path:
    """Where a path of the user's is, with `~` resolved; there need not be anything.

    Raises:
      Unusable: there cannot be: no such user, a name too long, a circle of links, or nobody lets us look.
    """
    try:
        place = pathlib.Path(path).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.stat(place)
        return place
    except (OSError, RuntimeError, ValueError) as error:
        raise Unusable(reason(error)) from None


def open_regular(path: str | os.PathLike[str], most: int | None = None) -> IO[bytes]:
    """A regular file, opened for reading: no folder, pipe or device, which might have no end.

    Raises:
      Unusable: it is no regular file, or has more than `most` bytes.
      OSError: the system refuses.
    """
    try:  # Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError as error:  # A zero byte.
        raise Unusable(str(error)) from None
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise Unusable("it is a folder, not a file")
        if not stat.S_ISREG(found.st_mode):
            raise Unusable("it is a pipe or device, not a file")
        if most is not None and found.st_size > most:
            raise Unusable(f"it has {found.st_size:,} bytes, and at most {most:,} are read")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | os.PathLike[str], most: int = MOST_SMALL_FILE) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises:
      Unusable: it is no regular file, or has more bytes.
      OSError: the system refuses.
    """
    content = bytearray()
    with open_regular(path, most) as file:  # Its size is not to be trusted: files grow, and those in /proc say 0.
        while piece := file.read(min(_PIECE, most + 1 - len(content))):
            content += piece
        if piece is None:  # The system has nothing at the moment, as of a log that grows.
            raise Unusable("it is no plain file")
    if len(content) > most:
        raise Unusable(f"it has more than {most:,} bytes")
    return bytes(content)


def reason(error: OSError | RuntimeError | ValueError) -> str:
    """Why a file cannot be used, as a clause."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
