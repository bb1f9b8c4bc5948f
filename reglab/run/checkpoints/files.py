"""The files of checkpoints in a folder: which are there, whose they are, and how they are added and removed.

A checkpoint is `ckpt-<step>.data-…`, its label `ckpt-<step>.json`, and `ckpt-<step>.index`. The index is added last
and removed first: without it the others do not count. The label gives run, step and the SHA-256 of the two others.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
from collections.abc import Collection, Mapping
from typing import Any, Final

from reglab.run.older import with_data_loss
from reglab.run.run_file import is_run_id
from reglab.storage.files import remove_temporaries, write_atomically
from reglab.storage.reading import Unreadable, file_digest, is_count, read_object, read_sealed, sealed

STAGING: Final = ".saving"
"""A folder beside the checkpoints in which one is written before it is moved to its place."""

_OWN_FILE: Final = re.compile(
    r"ckpt-(?P<step>0|[1-9][0-9]{0,18})(?:\.(?:index|data-[0-9]+-of-[0-9]+)(?P<leftover>\.tempstate[0-9]*)?|\.json"
    r"|(?P<folder>_temp))")


class NoLabel(Unreadable):
    """A checkpoint has no label: an older reglab wrote it, or its label is lost."""


class NotOurs(Unreadable):
    """A checkpoint was copied here from another step or from another run."""


def saved_steps(directory: pathlib.Path) -> list[int]:
    """Returns the steps of the complete checkpoints, oldest first."""
    return _steps(directory, ".index")


def labelled_steps(directory: pathlib.Path) -> list[int]:
    """Returns the steps that have a label, oldest first."""
    return _steps(directory, ".json")


def _steps(directory: pathlib.Path, suffix: str) -> list[int]:
    names = (_OWN_FILE.fullmatch(path.name) for path in directory.glob(f"ckpt-*{suffix}"))
    return sorted(int(match["step"]) for match in names if match)


def read_label(directory: pathlib.Path, step: int) -> dict[str, Any]:
    """Returns the label of a checkpoint: `run`, `step`, `files` (maps names to SHA-256), and `best`, its evaluation, if
    it was kept as the best.

    Raises:
      Missing: there is none.
      Unreadable: it is damaged.
    """
    label = read_sealed(directory / f"ckpt-{step}.json")
    files = label.get("files")
    if not (is_run_id(label.get("run")) and is_count(label.get("step")) and isinstance(files, dict)
            and files and all(isinstance(digest, str) for digest in files.values())):
        raise Unreadable("is no label of a checkpoint")
    return {name: with_data_loss(value) if name == "best" else value for name, value in label.items()}


def parse_best(path: pathlib.Path) -> dict[str, Any]:
    """Returns the object in a `best.json`, unchecked, with the names that are used today.

    Raises:
      Missing: there is no such file.
      Unreadable: it cannot be read or holds something else.
    """
    evaluation: dict[str, Any] = with_data_loss(read_object(path))
    return evaluation


def check_label(directory: pathlib.Path, step: int, run: str) -> None:
    """Checks that the checkpoint is exactly the one that `run` wrote after `step` updates.

    Raises:
      NoLabel: its label cannot be read, so nothing is known.
      NotOurs: it is of another step or run.
      Unreadable: it is damaged.
    """
    try:
        label = read_label(directory, step)
    except Unreadable as error:
        raise NoLabel(f"its label ckpt-{step}.json {error}") from None
    if label["step"] != step:
        raise NotOurs(f"it is a copy of ckpt-{label['step']}")
    if label["run"] != run:
        raise NotOurs("it is of another run")
    for name, digest in label["files"].items():
        if "/" in name or not name.startswith(f"ckpt-{step}."):
            raise Unreadable(f"its label ckpt-{step}.json is damaged")
        try:
            found = file_digest(directory / name)
        except Unreadable as error:
            raise Unreadable(f"{name} {error}") from None
        if found != digest:
            raise Unreadable(f"{name} is not what was written")


def check_ordinary(directory: pathlib.Path, step: int) -> None:
    """Checks that all files of a checkpoint are ordinary files: TensorFlow would wait forever at a pipe.

    Raises:
      Unreadable: one of them is something else.
    """
    for path in sorted(directory.glob(f"ckpt-{step}.*")):
        if path.exists() and not path.is_file():
            raise Unreadable(f"{path.name} is no ordinary file")


def put_in_place(staging: pathlib.Path, step: int, run: str | None, best: Mapping[str, Any] | None = None) -> None:
    """Moves a checkpoint from `staging` to the folder around it, so that it is whole there or does not count.

    That holds even if the process is killed. Nothing is synced to disk, which would take longer than many epochs: a
    checkpoint that a power cut left half written does not match the digests in its label, and the one before is used.

    Args:
      run: the run to write in its label; None gives it no label.
      best: the evaluation of the best state, for the label.

    Raises:
      OSError: the file system refuses.
    """
    directory = staging.parent
    os.stat(staging / f"ckpt-{step}.index")  # Fails if the folder was emptied meanwhile; a label alone would count.
    if run is not None:
        write_label(staging, step, run, best)
    for path in sorted(staging.glob(f"ckpt-{step}.*"), key=lambda path: path.suffix == ".index"):
        os.replace(path, directory / path.name)
    shutil.rmtree(staging, ignore_errors=True)  # It is empty. If this fails, the next write reports why.


def write_label(directory: pathlib.Path, step: int, run: str, best: Mapping[str, Any] | None = None) -> None:
    """Writes the label of a checkpoint in a folder.

    Raises:
      OSError: the file system refuses.
    """
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
             for path in sorted(directory.glob(f"ckpt-{step}.*")) if path.suffix != ".json"}
    label = {"run": run, "step": step, "files": files, **({} if best is None else {"best": dict(best)})}
    write_atomically(directory / f"ckpt-{step}.json", sealed(label), sync=False)


def is_of_other_run(directory: pathlib.Path, step: int, run: str | None) -> bool:
    """Returns whether its label gives a checkpoint another run or step, so that reglab must not remove it."""
    try:
        label = read_label(directory, step)
    except Unreadable:
        return False
    return run is not None and (label["run"] != run or label["step"] != step)


def own_files(directory: pathlib.Path) -> list[pathlib.Path]:
    """Returns every path in the folder that is named like a file of a checkpoint, indexes first."""
    paths = [path for path in directory.glob("ckpt-*") if _OWN_FILE.fullmatch(path.name)]
    return sorted(paths, key=lambda path: path.suffix != ".index")


def remove_all_but(steps: Collection[int], directory: pathlib.Path, run: str | None = None) -> None:
    """Removes the run's checkpoints of other steps, and what a process killed while saving or removing left."""
    remove_unfinished(directory)
    # The index first: without it the rest is no checkpoint, should this be interrupted.
    for path in own_files(directory):
        match = _OWN_FILE.fullmatch(path.name)
        assert match
        if match["folder"]:
            shutil.rmtree(path, ignore_errors=True)
        elif (match["leftover"] or int(match["step"]) not in steps) and (path.is_file() or path.is_symlink()) \
                and not is_of_other_run(directory, int(match["step"]), run):
            path.unlink()


def remove_unfinished(directory: pathlib.Path) -> None:
    """Removes what a killed process left of a checkpoint or label that was not yet in its place."""
    shutil.rmtree(directory / STAGING, ignore_errors=True)
    remove_temporaries(directory, ("ckpt-*.json", "best.json"))


def labelled_run(directory: pathlib.Path) -> str | None:
    """Returns the run that most labels in a folder name, or None; used if `run.json` is lost."""
    found: list[str] = []
    for folder in (directory, directory / "best"):
        for step in labelled_steps(folder):
            with contextlib.suppress(Unreadable):
                found.append(read_label(folder, step)["run"])
    return max(found, key=found.count, default=None)

