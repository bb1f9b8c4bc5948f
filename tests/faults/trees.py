"""Folders as they lie on the disk: fingerprints, copies, a user's own files among reglab's."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import stat
from typing import Final

from tests.faults.verdicts import Wrong

_PASSING: Final = re.compile(r"(^|/)\.[^/]*(lock|tmp)[^/]*$|\.lock$")
_REDRAWN: Final = re.compile(r"tensorboard/(?!.*\.elsewhere$|notes)|[^/]+\.(png|svg|csv)$|timing\.json$")
"""What a sweep makes of its chunks each time."""


def fingerprint(path: pathlib.Path) -> str | None:
    """What stands at a path: kind, permissions that matter and contents; None if nothing does."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return f"link to {os.readlink(path)}"
    if stat.S_ISDIR(status.st_mode):
        with contextlib.suppress(OSError):
            return "folder " + " ".join(sorted(os.listdir(path))) + ("" if status.st_mode & 0o400 else " unreadable")
        return "folder unreadable"
    if not stat.S_ISREG(status.st_mode):
        return "no file"
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() + ("" if status.st_mode & 0o400 else " unreadable")
    except OSError:
        return "unreadable"


def tree(folder: pathlib.Path) -> dict[str, str | None]:
    """Relative path to fingerprint of all that is in a folder."""
    return {str(path.relative_to(folder)): fingerprint(path) for path in sorted(folder.rglob("*"))}


def check_untouched(before: dict[str, str | None], folder: pathlib.Path, redrawn: bool = False) -> None:
    """Raises `Wrong` if anything but a lock came, went or changed since `before`.

    Args:
      redrawn: the folder is a sweep's, whose pictures and curves may be made anew.
    """
    now = tree(folder)
    changed = [name for name in sorted({**before, **now}) if before.get(name) != now.get(name)
               and not _PASSING.search(name) and not (redrawn and _REDRAWN.match(name))
               and not str(now.get(name, before.get(name))).startswith("folder")]
    if changed:
        raise Wrong(f"refused, and yet touched: {', '.join(changed[:5])}")


def leftovers(folder: pathlib.Path) -> list[str]:
    """Temporary files that nobody will want."""
    return [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.name.endswith(
        (".tmp", "_temp")) or ".tempstate" in path.name or path.name.startswith(".export-")]


def copy(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """A copy of a folder, its times included."""
    return pathlib.Path(shutil.copytree(source, target, symlinks=True))


def remove(path: pathlib.Path) -> None:
    """Removes what stands at a path, whatever it is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


class Decoys:
    """Files of a user among those of reglab, which must stay as they are to the byte."""

    def __init__(self, folder: pathlib.Path, others: pathlib.Path | None = None) -> None:
        """Puts them into `folder`: texts, and event files of another run (`others`), where folders stand for them."""
        events = next(iter(sorted(others.rglob("events.out.tfevents.*"))), None) if others is not None else None
        record = events.read_bytes() if events is not None else b"\x18\0\0\0\0\0\0\0not a whole record"
        self._folder, self._contents = folder, {"notes.txt": b"mine\n", "notes/events.out.tfevents.123": record}
        for name in ("train", "tensorboard", "winner/train"):
            if (folder / name).is_dir():
                self._contents[f"{name}/events.out.tfevents.1.elsewhere"] = record
        for name in ("checkpoints", "checkpoints/best", "chunks", "tensorboard", "winner"):
            if (folder / name).is_dir():
                self._contents[f"{name}/notes.txt"] = b"mine too\n"
        for name, content in self._contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    def check(self, besides: str = "") -> None:
        """Raises `Wrong` if one was touched; those in the folder `besides`, which was damaged itself, do not count."""
        for name, content in self._contents.items():
            if besides and name.startswith(f"{besides}/"):
                continue
            path = self._folder / name
            if not path.is_file() or path.read_bytes() != content:
                raise Wrong(f"touched a file that is not reglab's: {name}"
                            f"{'' if path.exists() else ' is gone'}")
