"""The lock on a folder, or on a file in it, as it lies in the file system; who may have it is said by `ownership`.

It is a lock of the operating system (`flock`, by the library filelock) on a hidden file, so it ends with the process
that holds it, however that ends; the file says who that is. Where a file system has no such locks, a marker is the
lock: a file that must not exist. That of a process that has ended is taken over, but only its host knows that it has.
"""

from __future__ import annotations

import contextlib
import errno
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
"""Files that say nothing about what a folder holds."""

_NO_LOCKS: Final = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
_TIME: Final = "%Y-%m-%d %H:%M:%S"


class Owner(NamedTuple):
    """Who has a lock."""

    pid: int
    host: str
    since: str

    @property
    def is_gone(self) -> bool:
        """Whether its process has ended, as far as this host can tell."""
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
    """A lock that this process has.

    Args:
      held: filelock's.
      path: the file that is locked, or the marker.
    """

    def __init__(self, held: Any, path: pathlib.Path) -> None:
        self._held, self._path, self._identity = held, path, _identity(path)

    @staticmethod
    def take(folder: pathlib.Path, file: str = "") -> Lock | None:
        """The lock of a folder, or of a file in it; None if another process or another thread has it.

        Raises:
          OSError: the file system refuses.
        """
        import filelock  # A twentieth of a second that --help need not wait for.

        path = folder / _hidden(_LOCK, file)
        held: Any = filelock.UnixFileLock(path, timeout=0, thread_local=False, fallback_to_soft=False)
        try:
            held.acquire()
            # In place and not atomically: the lock is on this very file, and another in its place would have none.
            path.write_text(json.dumps(_myself()._asdict()) + "\n", encoding="utf-8")
            return Lock(held, path)
        except filelock.Timeout:
            return None
        except OSError as error:
            held.release(force=True)
            if error.errno not in _NO_LOCKS:
                raise
        with contextlib.suppress(OSError):
            path.unlink()  # Nobody can have locked it.
        path = folder / _hidden(_MARKER, file)
        held = filelock.SoftFileLock(path, timeout=0, thread_local=False)
        for _ in range(2):  # The first try may find that the marker's process is gone.
            with contextlib.suppress(filelock.Timeout):
                held.acquire()
                return Lock(held, path)
        return None

    def remove(self) -> None:
        """Removes the file, while it is still locked: who opened it before gets a lock on no file, and tries again."""
        with contextlib.suppress(OSError):
            if self._path.name.endswith(_LOCK) and _identity(self._path) == self._identity:
                self._path.unlink()

    def release(self) -> None:
        """Ends it."""
        with contextlib.suppress(OSError):
            self._held.release()


def owner_of(folder: pathlib.Path, file: str = "") -> Owner | None:
    """Who has the lock of a folder or of a file in it, if it says so."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(_beginning(folder / _hidden(_LOCK, file)))
        return _checked(told["pid"], told["host"], told["since"])
    with contextlib.suppress(OSError, ValueError):
        marker = folder / _hidden(_MARKER, file)
        pid, host = _beginning(marker).splitlines()[:2]
        since = time.strftime(_TIME, time.localtime(marker.stat().st_mtime))
        return _checked(int(pid), host.partition("?")[0], since)  # What follows is filelock's own.
    return None


def marker_of(folder: pathlib.Path, file: str = "") -> pathlib.Path | None:
    """The marker, where there is one in place of a lock."""
    marker = folder / _hidden(_MARKER, file)
    return marker if marker.exists() else None


def _myself() -> Owner:
    return Owner(os.getpid(), socket.gethostname(), time.strftime(_TIME))


def _checked(pid: Any, host: Any, since: Any) -> Owner:
    """Raises:
      ValueError, TypeError: that is no owner, and no text to show.
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
