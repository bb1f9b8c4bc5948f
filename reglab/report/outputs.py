"""The file of a report: written whole, and replaced only where it is a report as reglab wrote it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Final

from reglab.config import ConfigError
from reglab.inputs.paths import Unusable, place_of
from reglab.inputs.texts import shown
from reglab.storage.files import write_atomically, writing
from reglab.storage.ownership import owning
from reglab.storage.reading import Missing, Unreadable, read_bytes

_SEAL: Final = re.compile(rb"\A<!doctype html>\n<!-- reglab\.report, SHA-256 of all below: ([0-9a-f]{64}) -->\n")
_MOST_BYTES: Final = 1 << 28


@contextlib.contextmanager
def owning_report(output: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Inside the block, this process alone owns the place of a report, which it yields.

    Raises:
      ConfigError: no file can be written there, another process is at it, or there is one that is no report, or one
        that was changed since reglab wrote it.
    """
    name = shown(os.fspath(output))
    try:
        path = place_of(os.fspath(output))
    except Unusable as error:
        raise ConfigError(f"--output={name} cannot be used ({error}): name another file") from None
    if not os.fspath(output) or path.is_dir():
        raise ConfigError(f"--output={name} is a folder: name a file in it, such as report.html")
    with owning(path.parent, flag="--output", file=path.name):
        _check(path)
        yield path


def _check(path: pathlib.Path) -> None:
    try:
        content = read_bytes(path, _MOST_BYTES)
    except Missing:
        return
    except Unreadable as error:
        raise ConfigError(f"--output={path} {error}: name another file") from None
    seal = _SEAL.match(content)
    if seal is None or hashlib.sha256(content[seal.end():]).hexdigest().encode() != seal[1]:
        raise ConfigError(f"--output={path} exists, and is not as reglab.report wrote it: name another file, or move "
                          "it away")


def write_report(path: pathlib.Path, page: str) -> None:
    """Writes a page whole or not at all.

    Raises:
      StorageError: the file system refuses.
    """
    body = page.encode("utf-8", "replace")
    seal = f"<!doctype html>\n<!-- reglab.report, SHA-256 of all below: {hashlib.sha256(body).hexdigest()} -->\n"
    with writing(path, tensorflow=False):
        write_atomically(path, seal.encode() + body)
