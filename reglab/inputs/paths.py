"""Paths and files that users name: impossible ones are refused untouched, and nothing is read without a limit."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import stat
from typing import IO, Final

from reglab.inputs.texts import shown

MOST_TEXT: Final = 4096
"""The largest number of characters in a text such as a path or a pattern: Linux's limit for a path."""
MOST_SMALL_FILE: Final = 2**20
"""The largest size in bytes of a file with flags or a configuration."""
_PIECE: Final = 2**20  # Python allocates as much as a read asks for.
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Unusable(ValueError):
    """A user's text or file cannot be used; the message is a clause that says why."""


def check_text(text: str, most: int = MOST_TEXT) -> None:
    """Checks the text of a flag.

    Raises:
      Unusable: it contains characters that no flag may have, or too many characters.
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
    """Checks a path. reglab reads and writes plain files only.

    Raises:
      Unusable: it is an address such as gs://bucket/x, or fails `check_text`.
    """
    check_text(path)
    if scheme := _SCHEME.match(path):
        raise Unusable(f"{shown(scheme[0])} is not supported, only files and folders of this machine")


def place_of(path: str) -> pathlib.Path:
    """Returns the place of a user's path, with `~` resolved; nothing needs to exist there.

    Raises:
      Unusable: nothing can exist there (no such user, a name too long, a cycle of links), or access is denied.
    """
    try:
        place = pathlib.Path(path).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.stat(place)
        return place
    except (OSError, RuntimeError, ValueError) as error:
        raise Unusable(reason(error)) from None


def open_regular(path: str | os.PathLike[str], most: int | None = None) -> IO[bytes]:
    """Opens a regular file for reading; refuses folders, and pipes and devices, which might never end.

    Raises:
      Unusable: it is not a regular file, or has more than `most` bytes.
      OSError: the system refuses.
    """
    try:  # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError as error:  # The path contains a null byte.
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
    """Returns the content of a regular file of at most `most` bytes.

    Raises:
      Unusable: it is not a regular file, or has more bytes.
      OSError: the system refuses.
    """
    content = bytearray()
    with open_regular(path, most) as file:  # The reported size is not reliable: files grow, and those in /proc say 0.
        while piece := file.read(min(_PIECE, most + 1 - len(content))):
            content += piece
        if piece is None:  # No data is available right now, although the file has not ended.
            raise Unusable("it is no plain file")
    if len(content) > most:
        raise Unusable(f"it has more than {most:,} bytes")
    return bytes(content)


def reason(error: OSError | RuntimeError | ValueError) -> str:
    """Returns why a file cannot be used, as a clause."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
