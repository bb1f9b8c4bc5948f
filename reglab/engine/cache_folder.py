"""The user's cache folder, with what later processes can reuse: compiled code and traced functions.

Each entry has its checksum in its file name. A folder of entries is specific to one TensorFlow version, one kind of
processor and one set of flags, since code compiled for one processor may crash on another.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import itertools
import os
import pathlib
import platform
import stat
import tempfile
import zlib
from collections.abc import Iterator
from typing import Final

from reglab.storage.files import write_atomically

VARIABLE: Final = "REGLAB_COMPILE_CACHE"
OFF: Final = "off"
MOST_PROGRAMS: Final = 64  # For one TensorFlow version, processor and set of flags; about 0.5 MB each.
MOST_BYTES: Final = 128 * 2**20  # For all entries together.
KINDS: Final = {"pb": 1, "function": 3}
"""The kinds of entries, with how many of each a program has: XLA's code, with the file extension that TensorFlow uses,
and traced functions (training, evaluation, measurement)."""
OWN_FLAG: Final = "--tf_xla_persistent_cache"


def cache_folder(setting: str | None) -> pathlib.Path | None:
    """Returns the folder that `--compile_cache` selects, or None for "off".

    Raises:
      RuntimeError: the folder is in the home folder, which cannot be determined.
    """
    setting = setting or os.environ.get(VARIABLE)
    if setting == OFF:
        return None
    if setting:
        return pathlib.Path(setting).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore relative paths.
    return (pathlib.Path(base) if os.path.isabs(base) else pathlib.Path.home() / ".cache") / "reglab"


def open_cache(folder: pathlib.Path) -> pathlib.Path:
    """Creates `folder` and, in it, the folder for entries that fit this process; returns the latter.

    Raises:
      OSError: one of them cannot be created, or others may write to it.
    """
    entries = folder / fingerprint()
    _make_own(folder)
    _make_own(entries)
    return entries


def other_flags() -> list[str]:
    """The flags in `TF_XLA_FLAGS` without reglab's own, which a parent process may have set."""
    return [flag for flag in os.environ.get("TF_XLA_FLAGS", "").split() if not flag.startswith(OWN_FLAG)]


def fingerprint() -> str:
    """A digest of everything that code compiled here depends on, apart from the program."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        processor = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    except OSError:
        processor = [platform.processor()]
    flags = [os.environ.get(name, "") for name in ("XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")]
    known = [importlib.metadata.version("tensorflow"), platform.machine(), *processor, *flags, *other_flags()]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:16]


class Entries:
    """The entries of one kind in a folder. Errors in reading, writing or removing them are ignored.

    Args:
      folder: the folder of the entries.
      kind: one of `KINDS`: the part of the file name before the checksum.
    """

    def __init__(self, folder: pathlib.Path, kind: str) -> None:
        self._folder, self._kind = folder, kind

    def whole(self) -> Iterator[tuple[str, pathlib.Path]]:
        """Yields name and path of the entries with the right checksum, as many as `limit` keeps; removes the others."""
        for place, path in enumerate(_newest_first(self._folder, f"*.{self._kind}.*")):
            with contextlib.suppress(OSError):
                if place < KINDS[self._kind] * MOST_PROGRAMS and _is_whole(path, path.read_bytes()):
                    yield path.stem, path
                else:
                    path.unlink()

    def read(self, name: str) -> bytes | None:
        """Returns the content of an entry, or None if there is none. Removes damaged files."""
        for path in _newest_first(self._folder, f"{name}.{self._kind}.*"):
            with contextlib.suppress(OSError):
                content = path.read_bytes()
                if _is_whole(path, content):
                    return content
                path.unlink()
        return None

    def write(self, name: str, content: bytes) -> None:
        """Stores an entry, if the disk allows it."""
        with contextlib.suppress(OSError):
            # No fsync: if power fails, the checksum shows whether what is left is complete.
            write_atomically(self._folder / f"{name}.{self._kind}.{_checksum(content)}", content, sync=False)

    def limit(self) -> None:
        """Removes the oldest entries: beyond `MOST_PROGRAMS` here, beyond `MOST_BYTES` with all sibling folders."""
        with contextlib.suppress(OSError):
            for kind, of_program in KINDS.items():
                for path in _newest_first(self._folder, f"*.{kind}.*")[of_program * MOST_PROGRAMS:]:
                    path.unlink()
            total = 0
            for path in _newest_first(self._folder.parent, *(f"*/*.{kind}.*" for kind in KINDS)):
                total += path.stat().st_size
                if total > MOST_BYTES:
                    path.unlink()


def _make_own(folder: pathlib.Path) -> None:
    """Creates a folder, or checks an existing one: whoever may write to it could make this process run any code.

    Raises:
      OSError: it cannot be created or written to, or others may write to it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise PermissionError(0, "others may write to it", str(folder))
    try:
        with tempfile.TemporaryFile(dir=folder):  # Detects a read-only file system now rather than later.
            pass
    except OSError as error:
        error.filename = str(folder)  # Rather than the name of the temporary file.
        raise


def _newest_first(folder: pathlib.Path, *patterns: str) -> list[pathlib.Path]:
    """Lists the entries in a folder, newest first. Another process may remove some at the same time."""
    found = []
    for path in itertools.chain(*map(folder.glob, patterns)):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


def _is_whole(path: pathlib.Path, content: bytes) -> bool:
    return path.suffix[1:] == _checksum(content)


def _checksum(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"
