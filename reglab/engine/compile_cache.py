"""XLA's compiled code, kept on disk so that later runs of the same shapes need not compile.

TensorFlow itself stores the code, but it names entries after the program only, and fails on a damaged entry or a full
disk. It therefore works in a folder private to this process, in memory where the system offers that. Intact entries of
the user's folder appear there as links, and newly compiled code is moved to the user's folder when the process ends.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
from typing import Final

from reglab.engine.cache_folder import OWN_FLAG, Entries, cache_folder, open_cache, other_flags

_ROOM: Final = 64 * 2**20  # Free bytes required for the entries of one process.
_ROUND_NUMBER: Final = 2**14  # More tensors than exist when a run begins; counting up to it takes 2 ms.
_OWN_FOLDER: Final = "reglab-compiled-"


def use_compile_cache(setting: str | None = None) -> str | None:
    """Makes TensorFlow keep its compiled code. Call before TensorFlow starts its devices; later calls have no effect.

    CPUs only: on a GPU, compiled code depends on more than `fingerprint` covers, and no GPU was at hand for testing.

    Args:
      setting: a folder, or "off". If None, the environment variable `REGLAB_COMPILE_CACHE` decides; if that is unset
        too, it is `reglab` in the user's cache folder.

    Returns:
      A line for the user if the folder cannot be used, else None. Not an error: everything is compiled then.
    """
    global _decided, _entries
    if _decided:
        return None
    _decided = True
    flags = other_flags()
    try:
        folder = cache_folder(setting)
        if folder is None:
            return None
        _entries = open_cache(folder)
        entries = Entries(_entries, "pb")
        scratch = _scratch_folder()
        flags += [f"{OWN_FLAG}_directory={scratch}", f"{OWN_FLAG}_device_types=CPU"]
        for name, path in entries.whole():
            with contextlib.suppress(FileExistsError):
                (scratch / name).symlink_to(path)
    except (OSError, RuntimeError) as error:
        where = getattr(error, "filename", None) or setting or "the user's cache folder"
        return (f"compiled code is not kept in {where} ({getattr(error, 'strerror', None) or error}): "
                "give another --compile_cache, or off")
    finally:
        if flags:
            os.environ["TF_XLA_FLAGS"] = " ".join(flags)
        else:
            os.environ.pop("TF_XLA_FLAGS", None)
    atexit.register(_keep, scratch, entries)
    return None


_decided = False
_entries: pathlib.Path | None = None


def folder_in_use() -> pathlib.Path | None:
    """The folder of entries that `use_compile_cache` chose, or None if nothing is kept."""
    return _entries


def name_alike() -> None:
    """Makes functions traced from now on get the names that they would get in any other process.

    TensorFlow names functions after a counter of all tensors so far, and cache entries after all names in the program,
    so a resumed run would not find what it compiled when it first started. Hence the counter is advanced to a round
    number.
    """
    with contextlib.suppress(ImportError):
        from tensorflow.python.framework.ops import uid
        while (uid() + 1) % _ROUND_NUMBER:
            pass


def _scratch_folder() -> pathlib.Path:
    """Creates a folder private to this process, locked while the process lives; removes those of killed processes.

    Raises:
      OSError: there is no room for one.
    """
    shared = pathlib.Path("/dev/shm")
    places = [place for place in (shared, pathlib.Path(tempfile.gettempdir()))
              if os.access(place, os.W_OK | os.X_OK) and not any(map(str.isspace, str(place)))
              and shutil.disk_usage(place).free >= _ROOM]
    if not places:
        raise OSError(0, "there is no room in /dev/shm or the temporary folder", tempfile.gettempdir())
    prefix = f"{_OWN_FOLDER}{os.geteuid()}-"
    for left in places[0].glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if left.is_dir() and not left.is_symlink() and left.stat().st_uid == os.geteuid() and _lock(left):
                shutil.rmtree(left)
    while True:  # A starting process may mistake another's folder, if not locked yet, for an abandoned one.
        scratch = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=places[0]))
        if _lock(scratch) and scratch.exists():
            return scratch


def _lock(scratch: pathlib.Path) -> bool:
    """Locks a folder until this process ends, however it ends; returns False if it is gone or another process's."""
    try:
        descriptor = os.open(scratch, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return False
    return True


def _keep(scratch: pathlib.Path, entries: Entries) -> None:
    """Moves what this process compiled to the user's folder when the process ends."""
    with contextlib.suppress(OSError):
        for made in scratch.glob("*.pb"):
            if not made.is_symlink():
                entries.write(made.stem, made.read_bytes())
    entries.limit()
    shutil.rmtree(scratch, ignore_errors=True)
