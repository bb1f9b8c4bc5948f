"""The files of checkpoints in a folder: which are there, whose they are, and how they come and go.

A checkpoint is `ckpt-<step>.data-…`, its label `ckpt-<step>.json`, and `ckpt-<step>.index`. The index comes last and
goes first: without it the others count as nothing. The label tells run, step and the SHA-256 of the two others.
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
"""A folder beside the checkpoints where one is written before it is moved to its place."""

_OWN_FILE: Final = re.compile(
    r"ckpt-(?P<step>0|[1-9][0-9]{0,18})(?:\.(?:index|data-[0-9]+-of-[0-9]+)(?P<leftover>\.tempstate[0-9]*)?|\.json"
    r"|(?P<folder>_temp))")


class NoLabel(Unreadable):
    """A checkpoint without a label: of an older reglab, or its label is lost."""


class NotOurs(Unreadable):
    """A checkpoint that was copied here, from another step or from another run."""


def saved_steps(directory: pathlib.Path) -> list[int]:
    """The steps of the checkpoints that are complete, oldest first."""
    return _steps(directory, ".index")


def labelled_steps(directory: pathlib.Path) -> list[int]:
    """The steps of which there is a label, oldest first."""
    return _steps(directory, ".json")


def _steps(directory: pathlib.Path, suffix: str) -> list[int]:
    names = (_OWN_FILE.fullmatch(path.name) for path in directory.glob(f"ckpt-*{suffix}"))
    return sorted(int(match["step"]) for match in names if match)


def read_label(directory: pathlib.Path, step: int) -> dict[str, Any]:
    """The label of a checkpoint: `run`, `step`, `files` (name to SHA-256), and `best`, its evaluation where
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
    """The object in a `best.json`, whatever it says, under the names of today.

    Raises:
      Missing: there is no such file.
      Unreadable: it cannot be read or holds something else.
    """
    evaluation: dict[str, Any] = with_data_loss(read_object(path))
    return evaluation


def check_label(directory: pathlib.Path, step: int, run: str) -> None:
    """Passes where the checkpoint is that of `run` after `step` updates, to the last bit.

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
    """Passes where all files of a checkpoint are ordinary ones: TensorFlow waits for ever at a pipe.

    Raises:
      Unreadable: one is something else.
    """
    for path in sorted(directory.glob(f"ckpt-{step}.*")):
        if path.exists() and not path.is_file():
            raise Unreadable(f"{path.name} is no ordinary file")


def put_in_place(staging: pathlib.Path, step: int, run: str | None, best: Mapping[str, Any] | None = None) -> None:
    """Moves a checkpoint that stands in `staging` to the folder around it, where it then is, whole.

    That holds if the process ends. None waits for the disk, which would take longer than many an epoch: one that a
    power cut left half written has not the digests of its label, and the one before is taken.

    Args:
      run: labels it as a checkpoint of this run; None leaves it without a label.
      best: the evaluation of the best state, for the label.

    Raises:
      OSError: the file system refuses.
    """
    directory = staging.parent
    os.stat(staging / f"ckpt-{step}.index")  # Else the folder was emptied meanwhile, and a label alone would count.
    if run is not None:
        write_label(staging, step, run, best)
    for path in sorted(staging.glob(f"ckpt-{step}.*"), key=lambda path: path.suffix == ".index"):
        os.replace(path, directory / path.name)
    shutil.rmtree(staging, ignore_errors=True)  # It is empty. What is wrong with the folder, the next write tells.


def write_label(directory: pathlib.Path, step: int, run: str, best: Mapping[str, Any] | None = None) -> None:
    """Labels the checkpoint that stands in a folder.

    Raises:
      OSError: the file system refuses.
    """
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
             for path in sorted(directory.glob(f"ckpt-{step}.*")) if path.suffix != ".json"}
    label = {"run": run, "step": step, "files": files, **({} if best is None else {"best": dict(best)})}
    write_atomically(directory / f"ckpt-{step}.json", sealed(label), sync=False)


def is_of_other_run(directory: pathlib.Path, step: int, run: str | None) -> bool:
    """Whether the label says that the checkpoint is not this run's of this step: not reglab's to remove."""
    try:
        label = read_label(directory, step)
    except Unreadable:
        return False
    return run is not None and (label["run"] != run or label["step"] != step)


def own_files(directory: pathlib.Path) -> list[pathlib.Path]:
    """Every path in the folder that has the name of a checkpoint's, indexes first."""
    paths = [path for path in directory.glob("ckpt-*") if _OWN_FILE.fullmatch(path.name)]
    return sorted(paths, key=lambda path: path.suffix != ".index")


def remove_all_but(steps: Collection[int], directory: pathlib.Path, run: str | None = None) -> None:
    """Removes the run's checkpoints of other steps, and what a kill during a save or a removal left behind."""
    remove_unfinished(directory)
    # An index first: without it the rest counts as no checkpoint, whenever this is interrupted.
    for path in own_files(directory):
        match = _OWN_FILE.fullmatch(path.name)
        assert match
        if match["folder"]:
            shutil.rmtree(path, ignore_errors=True)
        elif (match["leftover"] or int(match["step"]) not in steps) and (path.is_file() or path.is_symlink()) \
                and not is_of_other_run(directory, int(match["step"]), run):
            path.unlink()


def remove_unfinished(directory: pathlib.Path) -> None:
    """Removes what a kill left of a checkpoint, or of a label, that had not come to its place."""
    shutil.rmtree(directory / STAGING, ignore_errors=True)
    remove_temporaries(directory, ("ckpt-*.json", "best.json"))


def labelled_run(directory: pathlib.Path) -> str | None:
    """The run that most labels in a folder name, or None: whose they are where `run.json` is lost."""
    found: list[str] = []
    for folder in (directory, directory / "best"):
        for step in labelled_steps(folder):
            with contextlib.suppress(Unreadable):
                found.append(read_label(folder, step)["run"])
    return max(found, key=found.count, default=None)

