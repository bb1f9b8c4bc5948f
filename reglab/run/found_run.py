"""Reads and checks what the folder of a run holds when the run is opened; nothing is written."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Final

from reglab.config import Config, ConfigError
from reglab.run.checkpoints import files as checkpoint_files
from reglab.run.going_on import MAY_DIFFER, check_config, refuse
from reglab.run.older import has_two_splits
from reglab.run.run_file import NAME, RunFile, read_run_file
from reglab.storage.files import misplaced
from reglab.storage.reading import Missing, Unreadable, read_object

FILES: Final = ("config.json", "data.json", NAME, "result.json", "metrics.jsonl", "checkpoints/best/best.json")
"""The files of a run besides checkpoints and event files."""
_FOLDERS: Final = ("train", "validation", "checkpoints", "checkpoints/best")
_OWN_NAMES: Final = ("config.json", "data.json", "result.json", "metrics.jsonl", "train", "validation", "checkpoints")


@dataclasses.dataclass
class FoundRun:
    """The run that a folder holds.

    Attributes:
      holds_run: whether it holds one.
      run_file: the contents of `run.json`, or what is known of them; new contents if there is no run.
      knows_run: whether `run.json` was there and whole; if not, it is written again as far as possible.
      is_older: whether the run was written by an older reglab, which did not label checkpoints.
      goes_on_from: the configuration of the run if it is to go on further than that says; else None.
      warnings: a line for the user about each damaged file.
    """

    holds_run: bool = False
    run_file: RunFile = dataclasses.field(default_factory=RunFile)
    knows_run: bool = False
    is_older: bool = False
    goes_on_from: Config | None = None
    warnings: list[str] = dataclasses.field(default_factory=list)


def find_run(path: pathlib.Path, config: Config) -> FoundRun:
    """Returns the run in a folder, after checking that a run of `config` may be opened there.

    Raises:
      ConfigError: the folder holds something else, or a run that `config.resume` does not allow.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"--model_dir={path} is a file: name a folder")
    found = FoundRun()
    _read_run_file(path, found)
    found.holds_run = _check_contents(path, config, found)
    return found


def known_data(folder: pathlib.Path, run_file: RunFile, warnings: list[str]) -> Mapping[str, Any] | None:
    """Returns the facts of the run's data from `data.json` or else from `run.json`, or None if they are lost.

    Args:
      warnings: gets a line if `data.json` is damaged.
    """
    copy = run_file.data
    try:
        facts: Mapping[str, Any] = read_object(folder / "data.json")
        if not isinstance(facts.get("digest"), str):
            raise Unreadable("tells no digest of the data")
        if copy is not None and facts != copy:
            raise Unreadable("is not as the run wrote it")
        return facts
    except Unreadable as error:
        known = copy is not None and isinstance(copy.get("digest"), str)
        warnings.append(f"data.json {error}: written again" + (
            "" if known else "; whether the run began on the same data cannot be told"))
        return copy if known else None


def usable_path(name: str) -> pathlib.Path:
    """Returns the path of a folder, which need not exist yet, if the system allows the name and lets us look there.

    Raises:
      ConfigError: there can be no such folder.
    """
    try:
        path = pathlib.Path(name).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(path / "config.json")
        return path
    except (OSError, RuntimeError, ValueError) as error:  # A name too long, no such user, a zero byte.
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--model_dir={name!r} cannot be used ({reason}): name another folder") from None


def check_writable(path: pathlib.Path) -> None:
    """Checks that a folder can be written, or made.

    Raises:
      ConfigError: it cannot.
    """
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"--model_dir={path} cannot be written ({existing} is not a writable folder): "
                          "name a folder you may write to")


def _check_contents(path: pathlib.Path, config: Config, found: FoundRun) -> bool:
    flag = f"--model_dir={path}"
    if not os.path.lexists(path / "config.json") and found.run_file.config is None:
        others = [name for name in _OWN_NAMES if (path / name).exists()]
        if others:
            raise ConfigError(f"{flag} holds {others[0]} but no config.json, so what it belongs to is unknown: "
                              "name another folder")
        return False
    _check_kinds(path)
    if config.resume == "never":
        raise ConfigError(f"{flag} already holds a run, and --resume=never: name another folder, or use "
                          "--resume=auto to go on with it")
    if config.resume == "restart":
        return True
    theirs = _their_config(path, found)
    if has_two_splits(_their_facts(path, found)):  # The digest of the data shows what was validated on.
        theirs = dataclasses.replace(theirs, validation_split=config.validation_split)
    different = config.different_fields(theirs)
    if not different:
        return True
    if not set(different) <= MAY_DIFFER:
        raise ConfigError(f"{flag} holds a run of another configuration ({'; '.join(config.differences(theirs))}): "
                          "name another folder, or give the flags of that run")
    check_config(config, theirs, flag)
    if not found.knows_run:
        refuse(config, theirs, flag, different[0], "its run.json is missing or damaged")
    found.goes_on_from = theirs
    return True


def _their_config(folder: pathlib.Path, found: FoundRun) -> Config:
    """Returns the configuration of the run from `config.json` or else from `run.json`."""
    path, copy = folder / "config.json", found.run_file.config
    try:
        fields = read_object(path)
        theirs = Config.from_dict(fields)
        if copy is not None and fields != copy:
            raise Unreadable("is not as the run wrote it")
        return theirs
    except (ConfigError, Unreadable, OverflowError) as error:
        problem = str(error) if isinstance(error, Unreadable) else f"is damaged ({str(error)[:80]})"
        with contextlib.suppress(ConfigError, OverflowError):
            theirs = Config.from_dict(copy or {"": None})
            found.warnings.append(f"config.json {problem}: written again")
            return theirs
        raise ConfigError(f"--model_dir={folder} holds a run that cannot be resumed: config.json {problem}; put it "
                          "back, name another folder, or start anew with --resume=restart") from None


def _their_facts(folder: pathlib.Path, found: FoundRun) -> Mapping[str, Any] | None:
    """Returns the facts of the run's data, or None if they cannot be read."""
    with contextlib.suppress(Unreadable):
        return read_object(folder / "data.json") if found.run_file.data is None else found.run_file.data
    return None


def _read_run_file(path: pathlib.Path, found: FoundRun) -> None:
    if not path.is_dir():
        return
    try:
        found.run_file, found.knows_run = read_run_file(path), True
        return
    except Missing as error:
        run, problem = checkpoint_files.labelled_run(path / "checkpoints"), str(error)
        if run is None:
            found.is_older = True
            return
    except Unreadable as error:
        run, problem = checkpoint_files.labelled_run(path / "checkpoints"), str(error)
    found.warnings.append(f"run.json {problem}: written again")
    found.run_file = RunFile() if run is None else RunFile(run)


def _check_kinds(folder: pathlib.Path) -> None:
    """Refuses a folder or pipe in the place of a file of the run, the reverse, and missing permissions."""
    pieces = [f"{below}/{path.name}" for below in ("checkpoints", "checkpoints/best")
              for path in checkpoint_files.own_files(folder / below) if not path.name.endswith("_temp")]
    pieces = [name for name in pieces if os.path.exists(folder / name)]  # A link to nothing counts as damaged.
    problem = misplaced(folder, (*FILES, *pieces), _FOLDERS)
    if problem is not None:
        raise ConfigError(f"--model_dir={folder}: {problem}")
    for name in (*_FOLDERS, *FILES, *pieces):
        needed = os.R_OK | (os.W_OK | os.X_OK if name in _FOLDERS else os.W_OK if name == "metrics.jsonl" else 0)
        path = folder / name
        if os.path.exists(path) and not os.access(path, needed):
            raise ConfigError(f"--model_dir={folder}: {name} may not be read and written here: change its "
                              "permissions")
