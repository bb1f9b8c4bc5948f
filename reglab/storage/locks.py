"""The lock on a folder, or on a file in it, as the file system sees it; `ownership` decides who may have it.

It is a lock of the operating system (`flock`, through the library filelock) on a hidden file, so it ends with the
process that holds it, however that ends; the file says which process that is. On file systems without such locks, a
marker serves as the lock: a file whose existence means that it is taken. The marker of a process that has ended is
taken over, but only the host where the process ran can know that.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import re
import socket
import time
from typing import Any, Final, NamedTuple

_LOCK: Final = ".reglab.lock"
_MARKER: Final = ".reglab.marker"
LOCK_NAMES: Final = frozenset({_LOCK, _MARKER})
"""Files that do not count as contents of a folder."""

_NO_LOCKS: Final = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
_TIME: Final = "%Y-%m-%d %H:%M:%S"


class Owner(NamedTuple):
    """The process that holds a lock, and since when."""

    pid: int
    host: str
    since: str

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended; False if it ran on another host, where this cannot be known."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


class Lock:
    """A lock held by this process.

    Args:
      held: the lock object of the library filelock.
      path: the locked file, or the marker.
    """

    def __init__(self, held: Any, path: pathlib.Path) -> None:
        self._held, self._path, self._identity = held, path, _identity(path)

    @staticmethod
    def take(folder: pathlib.Path, file: str = "") -> Lock | None:
        """Takes the lock of a folder, or of a file in it; returns None if another process or thread holds it.

        Raises:
          OSError: the file system refuses.
        """
        import filelock  # Takes 0.05 s to import, which --help need not wait for.

        path = folder / _hidden(_LOCK, file)
        held: Any = filelock.UnixFileLock(path, timeout=0, thread_local=False, fallback_to_soft=False)
        try:
            held.acquire()
            # Written in place, not atomically: the lock is on this very file, and a replacement would not be locked.
            path.write_text(json.dumps(_myself()._asdict()) + "\n", encoding="utf-8")
            return Lock(held, path)
        except filelock.Timeout:
            return None
        except OSError as error:
            held.release(force=True)
            if error.errno not in _NO_LOCKS:
                raise
        with contextlib.suppress(OSError):
            path.unlink()  # No process can have locked it.
        path = folder / _hidden(_MARKER, file)
        held = filelock.SoftFileLock(path, timeout=0, thread_local=False)
        for _ in range(2):  # The first try may find that the marker's process is gone.
            with contextlib.suppress(filelock.Timeout):
                held.acquire()
                return Lock(held, path)
        return None

    def remove(self) -> None:
        """Removes the file while it is still locked: whoever had it open then locks a removed file, and tries again."""
        with contextlib.suppress(OSError):
            if self._path.name.endswith(_LOCK) and _identity(self._path) == self._identity:
                self._path.unlink()

    def release(self) -> None:
        """Releases the lock."""
        with contextlib.suppress(OSError):
            self._held.release()


def is_held(folder: pathlib.Path, file: str = "") -> bool:
    """Returns whether a process holds the lock of a folder, or of a file in it, now. Whoever wants it meanwhile waits.

    A lock file that a killed process left is not held.
    """
    try:
        with open(folder / _hidden(_LOCK, file), "rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)  # Until it is closed, a few microseconds later.
            return False
    except BlockingIOError:
        return True
    except OSError:  # There is no lock file, or the file system has no locks.
        owner = owner_of(folder, file)
        return owner is not None and not owner.is_gone


def owner_of(folder: pathlib.Path, file: str = "") -> Owner | None:
    """Returns who holds the lock of a folder or of a file in it, if the lock says so, else None."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(_beginning(folder / _hidden(_LOCK, file)))
        return _checked(told["pid"], told["host"], told["since"])
    with contextlib.suppress(OSError, ValueError):
        marker = folder / _hidden(_MARKER, file)
        pid, host = _beginning(marker).splitlines()[:2]
        since = time.strftime(_TIME, time.localtime(marker.stat().st_mtime))
        return _checked(int(pid), host.partition("?")[0], since)  # filelock appends its own data after the "?".
    return None


def marker_of(folder: pathlib.Path, file: str = "") -> pathlib.Path | None:
    """Returns the path of the marker if one is used instead of a lock, else None."""
    marker = folder / _hidden(_MARKER, file)
    return marker if marker.exists() else None


def _myself() -> Owner:
    return Owner(os.getpid(), socket.gethostname(), time.strftime(_TIME))


def _checked(pid: Any, host: Any, since: Any) -> Owner:
    """Returns an owner if these values, read from a file, are valid and safe to display.

    Raises:
      ValueError, TypeError: they are not.
    """
    if not (0 < pid < 2**31 and re.fullmatch(r"[\w.-]{1,255}", host) and re.fullmatch(r"[\d: -]{19}", since)):
        raise ValueError
    return Owner(int(pid), host, since)


def _beginning(path: pathlib.Path) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read(1000)


def _hidden(name: str, file: str) -> str:
    return f".{file}{name}" if file else name


def _identity(path: pathlib.Path) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
