"""Files that are whole or absent, and what is said where the file system refuses: one place for all commands."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final

from reglab.inputs import exit_codes

_REMEDIES: Final = {
    errno.ENOSPC: "make room on that file system", errno.EDQUOT: "make room within your quota",
    errno.EFBIG: "raise the limit on the size of files", errno.EROFS: "make that file system writable",
    errno.EACCES: "get permission to write there", errno.EPERM: "get permission to write there",
    errno.ENOENT: "find out what took it away", errno.ENOTDIR: "put the folder back in place of the file",
    errno.EISDIR: "move the folder away that is in its place", errno.EEXIST: "move away what is in its place",
    errno.ENOTEMPTY: "move the folder away that is in its place",
    errno.ELOOP: "move the link away that is in its place",
    errno.EIO: "look after that disk", errno.EMFILE: "raise the limit on open files", errno.ESTALE: "mount that again",
}
_REMOVED: Final = "it was taken away meanwhile"


class StorageError(exit_codes.Ending, Exception):
    """The file system refused in the middle of the work: full, over quota, read-only or taken away.

    One line that names the file, what the system said and what to do.
    """

    exit_code = exit_codes.STORAGE_FAILED


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], *, tensorflow: bool = True) -> Iterator[None]:
    """What the file system refuses inside the block, whether Python or TensorFlow tells it, becomes a `StorageError`.

    Args:
      path: what is named where the error itself names no file.
      tensorflow: whether TensorFlow writes in the block; else its errors are about something else.

    Raises:
      StorageError: something could not be written.
    """
    try:
        yield
    except Exception as error:
        reason = _refusal_in(error)
        if reason is None or not (tensorflow or isinstance(error, OSError)):
            raise
        named = os.fspath(reason.filename) if isinstance(reason.filename, str | os.PathLike) else ""
        # A bare name is one below a folder that `shutil` has open.
        raise StorageError(refusal(named if os.sep in named else path, reason)) from error


@contextlib.contextmanager
def closing_after(close: Callable[[], None]) -> Iterator[None]:
    """Closes after the block: what is refused then hides no earlier error, but does hide that a run was saved."""
    try:
        yield
    except Exception:
        with contextlib.suppress(StorageError):
            close()
        raise
    except BaseException:
        close()
        raise
    close()


def refusal(path: str | os.PathLike[str], error: OSError) -> str:
    """The line of a `StorageError`."""
    remedy = _REMEDIES.get(error.errno or 0, "mend that")
    reason = " ".join(str(error.strerror or error).split())[:200]
    return f"{os.fspath(path)} cannot be written ({reason}): {remedy}, then start the same again"


def check_not_removed(file: IO[Any], path: str | os.PathLike[str]) -> None:
    """Raises:
      FileNotFoundError: the open file is no longer at its path, so that all that is written to it would be lost.
    """
    try:
        is_there = os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        is_there = False
    if not is_there:
        raise FileNotFoundError(errno.ENOENT, _REMOVED, os.fspath(path))


def check_folder_not_removed(folder: str | os.PathLike[str]) -> None:
    """Raises:
      FileNotFoundError: the folder is no longer there.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, _REMOVED, os.fspath(folder))


def check_file_not_removed(path: str | os.PathLike[str]) -> None:
    """Raises:
      FileNotFoundError: the file is no longer there.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(errno.ENOENT, _REMOVED, os.fspath(path))


def write_atomically(path: str | os.PathLike[str], content: str | bytes | Callable[[IO[bytes]], Any], *,
                     sync: bool = True, overwrite: bool = True) -> None:
    """Writes a file that is whole or absent, whatever happens meanwhile: beside its place, synced, then moved there.

    Args:
      content: text (written as UTF-8), bytes, or a function that writes to the open file.
      sync: whether it is to be on the disk when this returns, and not only safe from the end of the process.
      overwrite: whether it may take the place of another file.

    Raises:
      OSError: the file system refuses; it names `path`. What stood there before still does, and nothing is left beside
        it.
    """
    path = pathlib.Path(path)
    temporary = _temporary(path)
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()  # Of a killed process. Were it a link, what it points at would be overwritten.
        with open(temporary, "xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        if not overwrite and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        os.replace(temporary, path)
        if sync:
            sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = os.fspath(path), None
        raise


def move_whole(source: pathlib.Path, place: pathlib.Path) -> None:
    """Moves a file, or a folder of files, to its place on the same file system, where it then is whole or absent.

    What is in it is on the disk before the name is, and the name when this returns.

    Raises:
      OSError: the file system refuses.
    """
    for path in [source, *source.rglob("*")]:
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
    os.rename(source, place)
    sync_folder(place.parent)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Returns when the names in a folder are on the disk, as far as its file system can tell."""
    with contextlib.suppress(OSError):  # Some take no such request; what has a name is whole in any case.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_temporaries(folder: str | os.PathLike[str], patterns: Iterable[str]) -> None:
    """Removes what a process that was killed in `write_atomically` left of files whose names match a pattern."""
    for pattern in patterns:
        for temporary in pathlib.Path(folder).glob(f".{pattern}.tmp"):
            with contextlib.suppress(OSError):
                temporary.unlink()


def misplaced(folder: str | os.PathLike[str], files: Iterable[str] = (), folders: Iterable[str] = ()) -> str | None:
    """What is wrong if something else stands where one of these files or folders is, or is to be: one line, or None."""
    for name, is_right, kind in [*((name, os.path.isfile, "file") for name in files),
                                 *((name, os.path.isdir, "folder") for name in folders)]:
        path = os.path.join(folder, name)
        if os.path.lexists(path) and not is_right(path):
            found = ("a link to nothing" if not os.path.exists(path) else
                     "a folder" if os.path.isdir(path) else f"no {kind}")
            return f"{path} is {found}, and a {kind} is to be there: move it away"
    return None


def remove_known(folder: pathlib.Path, patterns: Iterable[str]) -> list[str]:
    """Removes a folder of reglab's own: the files in it that match a pattern, then the folders that are empty.

    Nothing is followed that is a link.

    Returns:
      What is left, as it is not reglab's: paths below the folder.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        return ["."]
    known, left = [f"/{pattern}" for pattern in patterns], []
    for place, folders, files in os.walk(folder, topdown=False):
        below = pathlib.PurePosixPath("/", os.path.relpath(place, folder))
        for name in [*files, *(name for name in folders if os.path.islink(os.path.join(place, name)))]:
            if any((below / name).match(pattern) for pattern in known):
                os.unlink(os.path.join(place, name))
            else:
                left.append(str((below / name).relative_to("/")))
        with contextlib.suppress(OSError):
            os.rmdir(place)
    return sorted(left)


def _temporary(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f".{path.name}.tmp")


def _refusal_in(error: Exception) -> OSError | None:
    """The file system's refusal that an exception tells of; TensorFlow's have the system's words in their text."""
    if isinstance(error, OSError):
        return None if isinstance(error, ConnectionError) else error
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return None
    text = str(error)
    for number in errno.errorcode:
        if os.strerror(number) in text:
            return OSError(number, os.strerror(number))
    if isinstance(error, tensorflow.errors.NotFoundError) or "allow_missing_files" in text:  # Its own words for it.
        return OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    return OSError(None, (text.splitlines() or [type(error).__name__])[0][:200])
