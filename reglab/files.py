"""Files that are whole or absent: the one place where reglab writes a file of its own at once."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable
from typing import IO, Any


class StorageError(Exception):
    """The file system refused in the middle of the work: full, over quota, read-only or taken away.

    One line that names the file, what the system said and what to do. The commands exit with code 74.
    """


def write_atomically(path: str | os.PathLike[str], content: str | bytes | Callable[[IO[bytes]], Any]) -> None:
    """Writes a file that is whole or absent, whatever happens meanwhile: beside its place, synced, then moved there.

    Args:
      content: text (written as UTF-8), bytes, or a function that writes to the open file.

    Raises:
      OSError: the file system refuses; what stood there before still does, and nothing is left beside it.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
