"""The user's folder of what later processes need not make again: compiled code and traced functions.

An entry bears its checksum in its name. A folder of entries serves one TensorFlow, one kind of processor and one set of
flags, since code for one processor may crash another.
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
MOST_ENTRIES: Final = 64  # Of one kind, for one TensorFlow, processor and set of flags; half a megabyte each, or so.
MOST_BYTES: Final = 128 * 2**20  # Of all of them together.
KINDS: Final = ("pb", "function")  # XLA's code, under the ending that TensorFlow gives it, and what was traced.
OWN_FLAG: Final = "--tf_xla_persistent_cache"


def cache_folder(setting: str | None) -> pathlib.Path | None:
    """The folder that `--compile_cache` means; None for "off".

    Raises:
      RuntimeError: it is in a home folder, and there is none.
    """
    setting = setting or os.environ.get(VARIABLE)
    if setting == OFF:
        return None
    if setting:
        return pathlib.Path(setting).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored.
    return (pathlib.Path(base) if os.path.isabs(base) else pathlib.Path.home() / ".cache") / "reglab"


def open_cache(folder: pathlib.Path) -> pathlib.Path:
    """Makes `folder`, and in it the one for entries that serve this process, which is returned.

    Raises:
      OSError: one of them cannot be made, or others may write to it.
    """
    entries = folder / fingerprint()
    _make_own(folder)
    _make_own(entries)
    return entries


def other_flags() -> list[str]:
    """What stands in `TF_XLA_FLAGS` besides reglab's own flags, which a parent process may have put there."""
    return [flag for flag in os.environ.get("TF_XLA_FLAGS", "").split() if not flag.startswith(OWN_FLAG)]


def fingerprint() -> str:
    """What code compiled here depends on besides the program."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        processor = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    except OSError:
        processor = [platform.processor()]
    flags = [os.environ.get(name, "") for name in ("XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")]
    known = [importlib.metadata.version("tensorflow"), platform.machine(), *processor, *flags, *other_flags()]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:16]


class Entries:
    """The entries of one kind in a folder. None of their problems is a reason to fail.

    Args:
      kind: one of `KINDS`, which ends the names of their files, before the checksum.
    """

    def __init__(self, folder: pathlib.Path, kind: str) -> None:
        self._folder, self._kind = folder, kind

    def whole(self) -> Iterator[tuple[str, pathlib.Path]]:
        """Name and path of those whose checksum is right; the others, and the oldest of too many, are removed."""
        for place, path in enumerate(_newest_first(self._folder, f"*.{self._kind}.*")):
            with contextlib.suppress(OSError):
                if place < MOST_ENTRIES and _is_whole(path, path.read_bytes()):
                    yield path.stem, path
                else:
                    path.unlink()

    def read(self, name: str) -> bytes | None:
        """The content of an entry, or None. A damaged one is removed."""
        for path in _newest_first(self._folder, f"{name}.{self._kind}.*"):
            with contextlib.suppress(OSError):
                content = path.read_bytes()
                if _is_whole(path, content):
                    return content
                path.unlink()
        return None

    def write(self, name: str, content: bytes) -> None:
        """Keeps an entry, if the disk lets it."""
        with contextlib.suppress(OSError):
            # Not synced: of what a lost power supply leaves, the checksum tells whether it is whole.
            write_atomically(self._folder / f"{name}.{self._kind}.{_checksum(content)}", content, sync=False)

    def limit(self) -> None:
        """Removes the oldest entries, of all kinds and all folders beside this one, that are too much together."""
        with contextlib.suppress(OSError):
            total = 0
            for path in _newest_first(self._folder.parent, *(f"*/*.{kind}.*" for kind in KINDS)):
                total += path.stat().st_size
                if total > MOST_BYTES:
                    path.unlink()


def _make_own(folder: pathlib.Path) -> None:
    """Makes a folder, or checks one: whoever may write to it may have this process run any code.

    Raises:
      OSError: it cannot be made, or others may write to it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise PermissionError(0, "others may write to it", str(folder))
    try:
        with tempfile.TemporaryFile(dir=folder):  # A file system that is read-only says so now.
            pass
    except OSError as error:
        error.filename = str(folder)  # And not the name of that file.
        raise


def _newest_first(folder: pathlib.Path, *patterns: str) -> list[pathlib.Path]:
    """The entries in a folder. Another process may remove some meanwhile."""
    found = []
    for path in itertools.chain(*map(folder.glob, patterns)):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


def _is_whole(path: pathlib.Path, content: bytes) -> bool:
    return path.suffix[1:] == _checksum(content)


def _checksum(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"
