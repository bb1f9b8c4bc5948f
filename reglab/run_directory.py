"""The folder of a run: who may write into it, and the files in it that are not metrics or checkpoints."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reglab.config import Config, ConfigError
from reglab.files import check_folder_not_removed, misplaced, remove_temporaries, write_atomically, writing
from reglab.ownership import owning, owning_new

_OWN_FILES: Final = ("config.json", "data.json", "result.json", "metrics.jsonl")
_OWN_FOLDERS: Final = ("train", "validation", "checkpoints")
_OWN_NAMES: Final = (*_OWN_FILES, *_OWN_FOLDERS)


class RunDirectory:
    """The files of one run. Nothing is written before `create`.

    Args:
      config: its `model_dir` is the folder.

    Attributes:
      path: the folder.
      exists: whether it already holds a run of this configuration, to be resumed.

    Raises:
      ConfigError: the folder holds something else, cannot be written, or does not fit `config.resume`.
    """

    def __init__(self, config: Config) -> None:
        assert config.model_dir is not None
        self.path = _usable_path(config.model_dir)
        self._config = config
        self._data: Mapping[str, Any] | None = None
        self.exists = self._check_contents()
        if config.resume == "must" and not self.exists:
            raise ConfigError(f"--resume=must, but --model_dir={self.path} holds no run: "
                              "name the folder of the run to go on with")
        _check_writable(self.path)

    @property
    def checkpoints(self) -> pathlib.Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> pathlib.Path:
        """Where the metrics are."""
        return self.path / "metrics.jsonl"

    def bind(self, facts: Mapping[str, Any]) -> None:
        """Says which data the run is trained on: the contents of `data.json`, among them a digest of the data.

        Raises:
          ConfigError: the folder's run was trained on other data.
        """
        digest = facts["digest"]
        try:
            theirs = json.loads((self.path / "data.json").read_text())["digest"]
        except (OSError, ValueError, KeyError, TypeError):
            theirs = digest
        if self.exists and theirs != digest:
            raise ConfigError(f"--model_dir={self.path} holds a run on other data (digest {theirs}, here {digest}): "
                              "name another folder, or put the data back")
        self._data = facts

    def create(self) -> None:
        """Makes the folder and writes `config.json`.

        Raises:
          ConfigError: the file system refuses.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            remove_temporaries(self.path, _OWN_FILES)
            if self._data is not None:
                write_atomically(self.path / "data.json", json.dumps(self._data, indent=2) + "\n")
            write_atomically(self.path / "config.json", self._config.to_json())
        except OSError as error:
            raise ConfigError(f"--model_dir={self.path} cannot be written ({error.strerror}): "
                              "name a folder you may write to") from None

    def keep_whole(self) -> None:
        """Writes `config.json` and `data.json` again if they were taken away: without them the run could not go on.

        Raises:
          StorageError: the whole folder was, or it cannot be written.
        """
        with writing(self.path):
            check_folder_not_removed(self.path)
            if not (self.path / "config.json").exists():
                write_atomically(self.path / "config.json", self._config.to_json())
            if self._data is not None and not (self.path / "data.json").exists():
                write_atomically(self.path / "data.json", json.dumps(self._data, indent=2) + "\n")

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes `result.json`, whole or not at all.

        Raises:
          StorageError: it cannot be written.
        """
        with writing(self.path / "result.json"):
            write_atomically(self.path / "result.json", json.dumps(result, indent=2) + "\n")

    def finished_result(self, step: int) -> dict[str, Any] | None:
        """The contents of `result.json` if the run is complete and its last checkpoint, of `step`, could be read."""
        try:
            result: dict[str, Any] = json.loads((self.path / "result.json").read_text())
            return result if result["completed"] and result["steps"] == step else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _check_contents(self) -> bool:
        flag = f"--model_dir={self.path}"
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{flag} is a file: name a folder")
        if not (self.path / "config.json").exists():
            found = [name for name in _OWN_NAMES if (self.path / name).exists()]
            if found:
                raise ConfigError(f"{flag} holds {found[0]} but no config.json, so what it belongs to is unknown: "
                                  "name another folder")
            return False
        problem = misplaced(self.path, _OWN_FILES, _OWN_FOLDERS)
        if problem is not None:
            raise ConfigError(f"{flag}: {problem}")
        if self._config.resume == "never":
            raise ConfigError(f"{flag} already holds a run, and --resume=never: name another folder, or use "
                              "--resume=auto to go on with it")
        try:
            theirs = Config.from_file(self.path / "config.json")
        except ConfigError as error:
            raise ConfigError(f"{flag} holds a run that cannot be resumed: {error}") from None
        differences = self._config.differences(theirs)
        if differences:
            raise ConfigError(f"{flag} holds a run of another configuration ({'; '.join(differences)}): name another "
                              "folder, or give the flags of that run")
        return True


@contextlib.contextmanager
def own_folder(config: Config, kind: str = "") -> Iterator[Config]:
    """Inside the block the folder of a run, or of another `kind` of work, is this process' alone: see `ownership`.

    Gives:
      `config`, with the name of a new folder if it named none.

    Raises:
      ConfigError: another process is at work there, or it cannot be written.
    """
    if config.model_dir is not None:
        with owning(config.model_dir):
            yield config
    else:
        with owning_new(default_names(config, kind)) as name:
            yield dataclasses.replace(config, model_dir=name)


def with_default_name(config: Config) -> Config:
    """`config` with the name that a new folder would get, if it names none; no folder is made."""
    return config if config.model_dir else dataclasses.replace(config, model_dir=next(default_names(config)))


def default_names(config: Config, kind: str = "") -> Iterator[str]:
    """`runs/<time>-<short name>`: the data and the penalties, for example runs/20260131-101530-digits-l1=0.001.

    The further ones are for what starts within the same second.
    """
    dataset = re.sub(r"\W+", "-", pathlib.Path(config.dataset).stem)
    penalties = "".join(f"-{name}={value:g}" for name, value in (("l1", config.l1), ("l2", config.l2)) if value)
    base = f"runs/{time.strftime('%Y%m%d-%H%M%S')}-{dataset}{penalties}{kind and '-'}{kind}"
    yield base
    yield from (f"{base}-{number}" for number in itertools.count(2))


def _usable_path(name: str) -> pathlib.Path:
    """The folder, which may not exist yet, where the system could have one of that name and lets us look."""
    try:
        path = pathlib.Path(name).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.stat(path / "config.json")
        return path
    except (OSError, RuntimeError, ValueError) as error:  # A name too long, no such user, a zero byte.
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--model_dir={name!r} cannot be used ({reason}): name another folder") from None


def _check_writable(path: pathlib.Path) -> None:
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"--model_dir={path} cannot be written ({existing} is not a writable folder): "
                          "name a folder you may write to")
