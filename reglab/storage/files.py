"""Files written whole or not at all, and the message when the file system refuses: one place for all commands."""

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
    """The file system refused while work was in progress: it is full, over quota, read-only, or something was removed.

    The message is one line that names the file, the system's reason and what to do.
    """

    exit_code = exit_codes.STORAGE_FAILED


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], *, tensorflow: bool = True) -> Iterator[None]:
    """Turns the file system's errors inside the block, raised by Python or TensorFlow, into a `StorageError`.

    Args:
      path: the path to name if the error itself names none.
      tensorflow: whether TensorFlow writes in the block; if not, its errors have other causes and are let through.

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
        # A bare name, without a folder, comes from `shutil`, which works relative to a folder it has open.
        raise StorageError(refusal(named if os.sep in named else path, reason)) from error


@contextlib.contextmanager
def closing_after(close: Callable[[], None]) -> Iterator[None]:
    """Calls `close` after the block.

    A `StorageError` from `close` does not replace an earlier error, but does replace an interruption (an exception that
    is not an `Exception`), whose message would say that the run was saved.
    """
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
    """Returns the message of a `StorageError`."""
    remedy = _REMEDIES.get(error.errno or 0, "mend that")
    reason = " ".join(str(error.strerror or error).split())[:200]
    return f"{os.fspath(path)} cannot be written ({reason}): {remedy}, then start the same again"


def check_not_removed(file: IO[Any], path: str | os.PathLike[str]) -> None:
    """Checks that an open file is still at its path.

    Raises:
      FileNotFoundError: it is not, so that everything written to it would be lost.
    """
    try:
        is_there = os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        is_there = False
    if not is_there:
        raise FileNotFoundError(errno.ENOENT, _REMOVED, os.fspath(path))


def check_folder_not_removed(folder: str | os.PathLike[str]) -> None:
    """Checks that a folder still exists.

    Raises:
      FileNotFoundError: it does not.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, _REMOVED, os.fspath(folder))


def check_file_not_removed(path: str | os.PathLike[str]) -> None:
    """Checks that a file still exists.

    Raises:
      FileNotFoundError: it does not.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(errno.ENOENT, _REMOVED, os.fspath(path))


def write_atomically(path: str | os.PathLike[str], content: str | bytes | Callable[[IO[bytes]], Any], *,
                     sync: bool = True, overwrite: bool = True) -> None:
    """Writes a file that is whole or absent, whatever happens: written beside its place, synced, then moved there.

    Args:
      content: text (written as UTF-8), bytes, or a function that writes to the open file.
      sync: whether the file must be on the disk on return, safe from a power failure and not only from the end of the
        process.
      overwrite: whether it may replace an existing file.

    Raises:
      FileExistsError: `path` exists and `overwrite` is False.
      OSError: the file system refuses. Every error names `path`; what was there before is unchanged, and no temporary
        file remains.
    """
    path = pathlib.Path(path)
    temporary = _temporary(path)
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()  # Left by a killed process. If it is a link, writing would overwrite its target.
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
    """Moves a file or a folder of files to its place on the same file system, where it is then whole or absent.

    The contents are on the disk before the new name is, and the name is when this returns.

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
    """Returns once the names in a folder are on the disk, as far as its file system can tell."""
    with contextlib.suppress(OSError):  # Some file systems cannot do this; files with a name are whole in any case.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_temporaries(folder: str | os.PathLike[str], patterns: Iterable[str]) -> None:
    """Removes the temporary files of processes killed in `write_atomically`, for file names that match a pattern."""
    for pattern in patterns:
        for temporary in pathlib.Path(folder).glob(f".{pattern}.tmp"):
            with contextlib.suppress(OSError):
                temporary.unlink()


def misplaced(folder: str | os.PathLike[str], files: Iterable[str] = (), folders: Iterable[str] = ()) -> str | None:
    """Returns a one-line problem if one of these names exists but is not a file (or not a folder), otherwise None."""
    for name, is_right, kind in [*((name, os.path.isfile, "file") for name in files),
                                 *((name, os.path.isdir, "folder") for name in folders)]:
        path = os.path.join(folder, name)
        if os.path.lexists(path) and not is_right(path):
            found = ("a link to nothing" if not os.path.exists(path) else
                     "a folder" if os.path.isdir(path) else f"no {kind}")
            return f"{path} is {found}, and a {kind} is to be there: move it away"
    return None


def remove_known(folder: pathlib.Path, patterns: Iterable[str]) -> list[str]:
    """Removes a folder of reglab's own: the files in it that match a pattern, then all folders that are empty.

    Symbolic links are not followed.

    Returns:
      The paths, relative to the folder, of files that match no pattern and therefore remain; ["."] if the folder itself
      is a link or not a folder.
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
    """Returns the file system's error behind an exception, or None; TensorFlow's errors quote it in their text."""
    if isinstance(error, OSError):
        return None if isinstance(error, ConnectionError) else error
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return None
    text = str(error)
    for number in errno.errorcode:
        if os.strerror(number) in text:
            return OSError(number, os.strerror(number))
    if isinstance(error, tensorflow.errors.NotFoundError) or "allow_missing_files" in text:  # TensorFlow's own wording.
        return OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    return OSError(None, (text.splitlines() or [type(error).__name__])[0][:200])
