"""XLA's compiled code, kept on disk so that later runs of the same shapes need not compile.

TensorFlow does the keeping, but it names an entry after the program alone, and fails on a damaged entry or a full
disk. So it works on a folder of this process alone, in memory where the system has that. Whole entries of the user's
folder appear there as links, and what was compiled is moved to the user's folder when the process ends.
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

_ROOM: Final = 64 * 2**20  # Bytes that must be free for the entries of one process.
_ROUND_NUMBER: Final = 2**14  # More tensors than there are when a run begins, and counted in 2 ms.
_OWN_FOLDER: Final = "reglab-compiled-"


def use_compile_cache(setting: str | None = None) -> str | None:
    """Has TensorFlow, which has not started its devices yet, keep its compiled code. Later calls change nothing.

    On CPUs only: on a GPU compiled code depends on more than is asked for here, and none was at hand to try it.

    Args:
      setting: a folder, or "off". If None, the environment variable `REGLAB_COMPILE_CACHE` decides; if that is unset
        too, it is `reglab` in the user's cache folder.

    Returns:
      A line for the user if the folder cannot be used. That is never a reason to fail: everything is compiled then.
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
    """Where `use_compile_cache` decided that entries are kept; None if nowhere."""
    return _entries


def name_alike() -> None:
    """Gives the functions that are traced next the names that they would have in another process.

    TensorFlow names a function after a counter of all tensors so far, and an entry after all names in its program: a
    run that is resumed would not find what it compiled when it began. So the counter goes on to a round number.
    """
    with contextlib.suppress(ImportError):
        from tensorflow.python.framework.ops import uid
        while (uid() + 1) % _ROUND_NUMBER:
            pass


def _scratch_folder() -> pathlib.Path:
    """A folder for this process alone, locked while the process lives, and nothing left of those that were killed.

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
    while True:  # Another process that starts may take a folder not locked yet for one that was left.
        scratch = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=places[0]))
        if _lock(scratch) and scratch.exists():
            return scratch


def _lock(scratch: pathlib.Path) -> bool:
    """Takes the lock of a folder until this process ends, however it does; False if another process has it."""
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
    """At the end of a process: what it compiled goes to the user's folder."""
    with contextlib.suppress(OSError):
        for made in scratch.glob("*.pb"):
            if not made.is_symlink():
                entries.write(made.stem, made.read_bytes())
    entries.limit()
    shutil.rmtree(scratch, ignore_errors=True)
