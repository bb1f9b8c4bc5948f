"""XLA's compiled code, kept on disk so that later runs of the same shapes need not compile.

TensorFlow does the keeping, but it names an entry after the program alone, and fails on a damaged entry or a full
disk. So it works on a folder of this process alone, in memory where the system has that. Whole entries of the user's
folder appear there as links, and what was compiled is moved to the user's folder when the process ends. An entry bears
its checksum in its name. A folder of entries serves one TensorFlow, one kind of processor and one set of flags, since
code for one processor may crash another.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import shutil
import stat
import tempfile
import zlib
from typing import Final

from reglab.storage.files import write_atomically

VARIABLE: Final = "REGLAB_COMPILE_CACHE"
OFF: Final = "off"
MOST_ENTRIES: Final = 64  # Of half a megabyte each, or so, for one TensorFlow, processor and set of flags.
MOST_BYTES: Final = 128 * 2**20  # Of all of them together.
_ROOM: Final = 64 * 2**20  # Bytes that must be free for the entries of one process.
_ROUND_NUMBER: Final = 2**14  # More tensors than there are when a run begins, and counted in 2 ms.
_OWN_FLAG: Final = "--tf_xla_persistent_cache"
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
    global _decided
    if _decided:
        return None
    _decided = True
    flags = _other_flags()
    try:
        folder = cache_folder(setting)
        if folder is None:
            return None
        entries = folder / _fingerprint()
        _make_own(folder)
        _make_own(entries)
        scratch = _scratch_folder()
        flags += [f"{_OWN_FLAG}_directory={scratch}", f"{_OWN_FLAG}_device_types=CPU"]
        _link_whole_entries(entries, scratch)
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


def cache_folder(setting: str | None) -> pathlib.Path | None:
    """The folder that `use_compile_cache(setting)` means; None for "off".

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


def name_alike() -> None:
    """Gives the functions that are traced next the names that they would have in another process.

    TensorFlow names a function after a counter of all tensors so far, and an entry after all names in its program: a
    run that is resumed would not find what it compiled when it began. So the counter goes on to a round number.
    """
    with contextlib.suppress(ImportError):
        from tensorflow.python.framework.ops import uid
        while (uid() + 1) % _ROUND_NUMBER:
            pass


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


def _link_whole_entries(entries: pathlib.Path, scratch: pathlib.Path) -> None:
    """Lets TensorFlow find the entries whose checksum is right; removes the others, and the oldest of too many."""
    for place, entry in enumerate(_newest_first(entries)):
        with contextlib.suppress(OSError):
            name, checksum = entry.stem, entry.suffix[1:]
            if place >= MOST_ENTRIES or _checksum(entry.read_bytes()) != checksum or (scratch / name).is_symlink():
                entry.unlink()
            else:
                (scratch / name).symlink_to(entry)


def _keep(scratch: pathlib.Path, entries: pathlib.Path) -> None:
    """At the end of a process: what it compiled goes to the user's folder, and the oldest of too much goes."""
    with contextlib.suppress(OSError):
        for made in scratch.glob("*.pb"):
            if not made.is_symlink():
                code = made.read_bytes()
                write_atomically(entries / f"{made.name}.{_checksum(code)}", code)
        total = 0
        for entry in _newest_first(entries.parent, "*/*.pb.*"):
            total += entry.stat().st_size
            if total > MOST_BYTES:
                entry.unlink()
    shutil.rmtree(scratch, ignore_errors=True)


def _newest_first(folder: pathlib.Path, pattern: str = "*.pb.*") -> list[pathlib.Path]:
    """The entries in a folder. Another process may remove some meanwhile."""
    found = []
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


def _checksum(code: bytes) -> str:
    return f"{zlib.crc32(code):08x}"
