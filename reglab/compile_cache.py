"""XLA's compiled code, kept on disk so that later runs of the same shapes need not compile.

TensorFlow does the keeping, but it names an entry after the program alone and fails on a damaged one. So a folder of
entries serves one TensorFlow, one kind of processor and one set of flags, since code for one processor may crash
another; and an entry counts only with a seal, a checksum written after it. What a kill or a full disk left behind has
none, is removed and compiled anew.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import zlib
from typing import Final

from reglab.config import ConfigError

VARIABLE: Final = "REGLAB_COMPILE_CACHE"
MOST_ENTRIES: Final = 64  # Of half a megabyte each, or so.
_SEAL: Final = ".seal"
_OWN_FLAG: Final = "--tf_xla_persistent_cache"


def use_compile_cache() -> bool:
    """Lets the TensorFlow that is imported next keep its compiled code in the folder named by `REGLAB_COMPILE_CACHE`.

    On CPUs only: on a GPU compiled code depends on more than is asked for here, and none was at hand to try it.

    Returns:
      Whether the variable names a folder.

    Raises:
      ConfigError: the folder cannot be used.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return False
    folder = pathlib.Path(name).expanduser().absolute() / _fingerprint()
    if any(map(str.isspace, str(folder))):
        raise ConfigError(f"{VARIABLE}={name} holds a blank, which TensorFlow's flags cannot: name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _keep_whole_entries(folder)
        (folder / ".probe").touch()
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{VARIABLE}={name} cannot be written ({getattr(error, 'strerror', None) or error}): name a "
                          "folder you may write to, or unset it") from None
    os.environ["TF_XLA_FLAGS"] = " ".join([*_other_flags(), f"{_OWN_FLAG}_directory={folder}",
                                           f"{_OWN_FLAG}_device_types=CPU"])
    atexit.register(_seal_entries, folder)
    return True


def _fingerprint() -> str:
    """What code compiled here depends on besides the program."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        processor = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    except OSError:
        processor = [platform.processor()]
    flags = [os.environ.get(name, "") for name in ("XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")]
    known = [importlib.metadata.version("tensorflow"), platform.machine(), *processor, *flags, *_other_flags()]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:16]


def _other_flags() -> list[str]:
    """What stands in `TF_XLA_FLAGS` besides the flags of this module, which a parent process may have put there."""
    return [flag for flag in os.environ.get("TF_XLA_FLAGS", "").split() if not flag.startswith(_OWN_FLAG)]


def _entries(folder: pathlib.Path) -> list[pathlib.Path]:
    """The entries, newest first. Another process may remove some meanwhile."""
    found = []
    for path in folder.glob("*.pb"):
        with contextlib.suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


def _keep_whole_entries(folder: pathlib.Path) -> None:
    """Removes entries without their seal, and the oldest of too many. Who has read an entry needs it no more."""
    for place, entry in enumerate(_entries(folder)):
        seal = entry.with_suffix(_SEAL)
        with contextlib.suppress(FileNotFoundError):
            if place >= MOST_ENTRIES or not seal.exists() or seal.read_text() != _checksum(entry):
                entry.unlink()
                seal.unlink(missing_ok=True)


def _seal_entries(folder: pathlib.Path) -> None:
    """At the end of a process: TensorFlow has moved whole entries to their places by now."""
    with contextlib.suppress(OSError):
        for entry in _entries(folder):
            seal = entry.with_suffix(_SEAL)
            if not seal.exists():
                seal.write_text(_checksum(entry))


def _checksum(path: pathlib.Path) -> str:
    return f"{zlib.crc32(path.read_bytes()):08x}"
