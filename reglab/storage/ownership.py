"""Exclusive ownership: a process owns what it writes to, from before its first look until its last file."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import pathlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

from reglab.config import ConfigError
from reglab.storage.locks import Lock, Owner, marker_of, owner_of

_PATIENCE: Final = 0.5  # Seconds for a new holder of a lock to name itself, or for one that is ending to be gone.
_PAUSE: Final = 0.02
_TRIES: Final = 5
_Key = tuple[int, int, str]


@dataclasses.dataclass
class _Hold:
    """A lock held by a thread of this process, and how often that thread has entered."""

    lock: Lock
    process: int = dataclasses.field(default_factory=os.getpid)
    thread: int = dataclasses.field(default_factory=threading.get_ident)
    count: int = 0


_holds: dict[_Key, _Hold] = {}  # Keyed by device and inode, so by the same key under any path.
_guard: Final = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_holds.clear)  # The inherited descriptors are closed by filelock.


@contextlib.contextmanager
def owning(folder: str | os.PathLike[str], *, flag: str = "--model_dir", file: str = "") -> Iterator[None]:
    """Within the block, no other process or thread can be in a block for the same folder.

    The folder is created if missing, and removed again if empty at the end. The thread that owns it may enter again.
    The path or link used to name the folder makes no difference.

    Args:
      folder: the folder to own.
      flag: the flag that names it, for messages.
      file: if given, only the file of this name in the folder is owned.

    Raises:
      ConfigError: another process or thread owns it, or it cannot be used or written to.
    """
    subject = f"{flag}={pathlib.Path(folder) / file}"
    path = _usable(folder, subject, is_parent=bool(file))
    made: list[pathlib.Path] = []
    try:
        key, hold = _take(path, subject, file, made)
        try:
            yield
        finally:
            _give_back(key, hold, made)
    finally:
        _remove_empty(made)


@contextlib.contextmanager
def owning_new(names: Iterable[str], *, flag: str = "--model_dir") -> Iterator[str]:
    """Like `owning`, for a new folder with the first of these names that is free; yields the name.

    Raises:
      ConfigError: the folder cannot be created.
    """
    for name in names:
        made: list[pathlib.Path] = []
        try:
            is_new = _make(pathlib.Path(name), made)
        except OSError as error:
            _remove_empty(made)
            raise _unwritable(f"{flag}={name}", error) from None
        if is_new:
            try:
                with owning(name, flag=flag):
                    yield name
            finally:
                _remove_empty(made)
            return


def _usable(folder: str | os.PathLike[str], subject: str, is_parent: bool) -> pathlib.Path:
    try:
        path = pathlib.Path(folder).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(path)
        is_link, exists, is_folder = path.is_symlink(), path.exists(), path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # The name is too long, has an unknown ~user or a null byte.
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{_shown(subject)} cannot be used ({reason}): name another folder") from None
    if exists and not is_folder and is_parent:
        raise _unwritable(subject, FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)))
    if exists and not is_folder:
        raise ConfigError(f"{subject} is a file: name a folder")
    if is_link and not exists:
        raise ConfigError(f"{subject} is a link to nothing: remove it, or name another folder")
    return path


def _take(path: pathlib.Path, subject: str, file: str, made: list[pathlib.Path]) -> tuple[_Key, _Hold]:
    """Takes the lock, waiting `_PATIENCE` seconds for holders that are only just leaving or starting."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        is_last = time.monotonic() > deadline
        try:
            _make(path, made)
            taken = _try_to_take(path, file)
        except FileNotFoundError as error:  # The previous owner removed the empty folder.
            if is_last:
                raise _unwritable(subject, error) from None
        except OSError as error:
            raise _unwritable(subject, error) from None
        else:
            if taken is not None:
                return taken
            owner = owner_of(path, file)
            if is_last or (owner is not None and not owner.is_gone):
                raise ConfigError(_in_use(subject, owner, marker_of(path, file), "output" if file else "folder"))
        time.sleep(_PAUSE)


def _try_to_take(path: pathlib.Path, file: str) -> tuple[_Key, _Hold] | None:
    """Takes the lock, or returns None while another process or thread holds it."""
    status = os.stat(path)
    key = (status.st_dev, status.st_ino, file)
    with _guard:
        hold = _holds.get(key)
        if hold is None:
            lock = Lock.take(path, file)
            hold = None if lock is None else _Hold(lock)
        elif hold.thread != threading.get_ident():
            return None
        if hold is None:
            return None
        hold.count += 1
        _holds[key] = hold
        return key, hold


def _give_back(key: _Key, hold: _Hold, made: list[pathlib.Path]) -> None:
    if hold.process != os.getpid():  # This is a fork of the owner.
        made.clear()
        return
    with _guard:
        hold.count -= 1
        if not hold.count:
            del _holds[key]
            hold.lock.remove()
            _remove_empty(made)
            hold.lock.release()


def _in_use(subject: str, owner: Owner | None, marker: pathlib.Path | None, what: str) -> str:
    who = "another process" if owner is None else f"process {owner.pid} on {owner.host} since {owner.since}"
    how = "" if marker is None else f" (this file system has no locks: if that process is gone, remove {marker})"
    return f"{subject} is in use by {who}: wait for it, stop it, or name another {what}{how}"


def _unwritable(subject: str, error: OSError) -> ConfigError:
    return ConfigError(f"{_shown(subject)} cannot be written ({error.strerror or error}): "
                       f"name a {'place' if subject.startswith('--output') else 'folder'} you may write to")


def _make(path: pathlib.Path, made: list[pathlib.Path]) -> bool:
    """Creates a folder and missing parents, records them in `made`, and returns whether this folder is new.

    Others may create and remove parents at the same time; if several create this folder, it is new for only one.
    """
    for is_last in (*[False] * _TRIES, True):
        try:
            path.mkdir()
            made.append(path)
            return True
        except FileNotFoundError:
            if is_last or path.parent == path:
                raise
            _make(path.parent, made)
        except FileExistsError:
            if not path.is_dir():
                raise
            return False
    return False


def _remove_empty(made: list[pathlib.Path]) -> None:
    """Removes the folders that were created, as far as they are empty."""
    while made:
        with contextlib.suppress(OSError):
            made[-1].rmdir()
        made.pop()


def _shown(subject: str) -> str:
    return subject if subject.isprintable() else repr(subject)[1:-1]
