"""The folder of a run: who may write into it, and the files in it that are not metrics or checkpoints."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reglab.config import Config, ConfigError
from reglab.config.strengths import in_names, is_zero
from reglab.run.checkpoints import files as checkpoint_files
from reglab.run.restart import move_aside
from reglab.run.run_file import NAME, RunFile, read_run_file
from reglab.storage.files import (
    StorageError,
    check_folder_not_removed,
    misplaced,
    remove_temporaries,
    write_atomically,
    writing,
)
from reglab.storage.ownership import owning, owning_new
from reglab.storage.reading import Missing, Unreadable, read_object

_FILES: Final = ("config.json", "data.json", NAME, "result.json", "metrics.jsonl", "checkpoints/best/best.json")
_FOLDERS: Final = ("train", "validation", "checkpoints", "checkpoints/best")
_OWN_NAMES: Final = ("config.json", "data.json", "result.json", "metrics.jsonl", "train", "validation", "checkpoints")


class RunDirectory:
    """The files of one run. Nothing is written before `create`.

    Args:
      config: its `model_dir` is the folder.

    Attributes:
      path: the folder.
      holds_run: whether it holds a run.
      exists: whether it holds a run of this configuration, to be resumed.
      run_file: the contents of `run.json`.
      knows_run: whether `run.json` was there and whole; if not, it is made again, as far as that can be.
      is_older: whether an older reglab wrote the run, which did not label its checkpoints.
      warnings: lines for the user, of what was damaged.

    Raises:
      ConfigError: the folder holds something else, cannot be written, or does not fit `config.resume`.
    """

    def __init__(self, config: Config) -> None:
        assert config.model_dir is not None
        self.path = _usable_path(config.model_dir)
        self._config = config
        self.warnings: list[str] = []
        self.knows_run, self.is_older, self.run_file = False, False, RunFile()
        self._replaced: RunFile | None = None  # That of the run which --resume=restart replaces.
        self._writing_run_file = threading.Lock()  # The thread that writes checkpoints notes each.
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"--model_dir={self.path} is a file: name a folder")
        self.holds_run = self._check_contents()
        self.exists = self.holds_run and config.resume != "restart"
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

    def event_files(self, run_file: RunFile | None = None) -> dict[str, list[pathlib.Path]]:
        """Split to the event files of a run, else this: those with its id in their names, or that `run.json` lists."""
        run_file = run_file or self.run_file
        return {split: [path for path in self.all_event_files(split) if path.name.endswith(f".{run_file.run}")
                        or f"{split}/{path.name}" in run_file.events] for split in ("train", "validation")}

    def all_event_files(self, split: str) -> list[pathlib.Path]:
        """The event files right in the folder of a split, whoever wrote them."""
        return sorted(path for path in (self.path / split).glob("events.out.tfevents.*") if path.is_file())

    def bind(self, facts: Mapping[str, Any]) -> None:
        """Says which data the run is trained on: the contents of `data.json`, among them a digest of the data.

        Raises:
          ConfigError: the folder's run was trained on other data.
        """
        theirs = self._their_data() if self.exists else None
        if theirs is not None and theirs["digest"] != facts["digest"]:
            raise ConfigError(f"--model_dir={self.path} holds a run on other data (digest {theirs['digest']}, here "
                              f"{facts['digest']}): name another folder, or put the data back")
        self.run_file = dataclasses.replace(self.run_file, data=facts)

    def create(self, events: Sequence[str] = (), saved: int | None = None) -> None:
        """Makes the folder and writes `run.json`, `data.json` and `config.json`, in this order.

        With `--resume=restart`, what the folder holds of another run is moved aside first.

        Args:
          events: event files of the run that do not have its id in their names.
          saved: the step of the checkpoint that the run goes on from.

        Raises:
          ConfigError: the file system refuses.
        """
        config = self._config
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            remove_temporaries(self.path, [name for name in _FILES if "/" not in name])
            if config.resume == "restart":
                # Who trains from this config.json does not mean to start anew once more.
                config = self._config = dataclasses.replace(config, resume="auto")
                self._move_aside(events)
            elif events or saved is not None:
                self.run_file = dataclasses.replace(self.run_file, saved=saved,
                                                    events=(*self.run_file.events, *events))
            self.run_file = dataclasses.replace(self.run_file, config=config.to_dict())
            self.run_file.write(self.path)
            if self.run_file.data is not None:
                write_atomically(self.path / "data.json", self._data_json())
            write_atomically(self.path / "config.json", config.to_json())
        except OSError as error:
            raise ConfigError(f"--model_dir={self.path} cannot be written ({error.strerror}): "
                              "name a folder you may write to") from None

    def keep_whole(self) -> None:
        """Writes `config.json`, `data.json` and `run.json` again if they were taken away: the run needs them to go on.

        Raises:
          StorageError: the whole folder was, it cannot be written, or something else stands in their place.
        """
        with self._writing_run_file, writing(self.path):
            check_folder_not_removed(self.path)
            problem = misplaced(self.path, (NAME, "config.json", "data.json"))
            if problem is not None:
                raise StorageError(problem)
            if not (self.path / NAME).exists():
                self.run_file.write(self.path)
            if not (self.path / "config.json").exists():
                write_atomically(self.path / "config.json", self._config.to_json())
            if self.run_file.data is not None and not (self.path / "data.json").exists():
                write_atomically(self.path / "data.json", self._data_json())

    def note(self, **fields: Any) -> None:
        """Changes fields of `run.json`; any thread may.

        Raises:
          StorageError: it cannot be written.
        """
        with self._writing_run_file, writing(self.path / NAME):
            self.run_file = dataclasses.replace(self.run_file, **fields)
            self.run_file.write(self.path)

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes `result.json`, whole or not at all.

        Raises:
          StorageError: it cannot be written.
        """
        text = json.dumps(result, indent=2) + "\n"
        self.note(result=None)  # Until it is there, nothing is known of it.
        with writing(self.path / "result.json"):
            write_atomically(self.path / "result.json", text)
        self.note(result=hashlib.sha256(text.encode()).hexdigest())

    def _data_json(self) -> str:
        return json.dumps(self.run_file.data, indent=2) + "\n"

    def _their_data(self) -> Mapping[str, Any] | None:
        """The facts of the run's data, of `data.json` or else of `run.json`; None where they are lost."""
        copy = self.run_file.data
        try:
            facts: Mapping[str, Any] = read_object(self.path / "data.json")
            if not isinstance(facts.get("digest"), str):
                raise Unreadable("tells no digest of the data")
            if copy is not None and facts != copy:
                raise Unreadable("is not as the run wrote it")
            return facts
        except Unreadable as error:
            known = copy is not None and isinstance(copy.get("digest"), str)
            self.warnings.append(f"data.json {error}: written again" + (
                "" if known else "; whether the run began on the same data cannot be told"))
            return copy if known else None

    def _check_contents(self) -> bool:
        flag = f"--model_dir={self.path}"
        self._read_run_file()
        if self._config.resume == "restart":
            self._replaced, self.run_file = self.run_file, RunFile()
        if not os.path.lexists(self.path / "config.json") and (self._replaced or self.run_file).config is None:
            found = [name for name in _OWN_NAMES if (self.path / name).exists()]
            if found:
                raise ConfigError(f"{flag} holds {found[0]} but no config.json, so what it belongs to is unknown: "
                                  "name another folder")
            return False
        self._check_kinds()
        if self._config.resume == "never":
            raise ConfigError(f"{flag} already holds a run, and --resume=never: name another folder, or use "
                              "--resume=auto to go on with it")
        if self._config.resume == "restart":
            return True
        differences = self._config.differences(self._their_config(flag))
        if differences:
            raise ConfigError(f"{flag} holds a run of another configuration ({'; '.join(differences)}): name another "
                              "folder, or give the flags of that run")
        return True

    def _their_config(self, flag: str) -> Config:
        """The configuration of the run, of `config.json` or else of `run.json`."""
        path, copy = self.path / "config.json", self.run_file.config
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
                self.warnings.append(f"config.json {problem}: written again")
                return theirs
            raise ConfigError(f"{flag} holds a run that cannot be resumed: config.json {problem}; put it back, name "
                              "another folder, or start anew with --resume=restart") from None

    def _read_run_file(self) -> None:
        if not self.path.is_dir():
            return
        try:
            self.run_file, self.knows_run = read_run_file(self.path), True
            return
        except Missing as error:
            run, problem = checkpoint_files.labelled_run(self.checkpoints), str(error)
            if run is None:
                self.is_older = True
                return
        except Unreadable as error:
            run, problem = checkpoint_files.labelled_run(self.checkpoints), str(error)
        self.warnings.append(f"run.json {problem}: written again")
        self.run_file = RunFile() if run is None else RunFile(run)

    def _check_kinds(self) -> None:
        """Refuses a folder or a pipe where a file of the run belongs, the reverse, and what may not be read."""
        pieces = [f"{folder}/{path.name}" for folder in ("checkpoints", "checkpoints/best")
                  for path in checkpoint_files.own_files(self.path / folder) if not path.name.endswith("_temp")]
        pieces = [name for name in pieces if os.path.exists(self.path / name)]  # A link to nothing counts as damaged.
        problem = misplaced(self.path, (*_FILES, *pieces), _FOLDERS)
        if problem is not None:
            raise ConfigError(f"--model_dir={self.path}: {problem}")
        for name in (*_FOLDERS, *_FILES, *pieces):
            needed = os.R_OK | (os.W_OK | os.X_OK if name in _FOLDERS else os.W_OK if name == "metrics.jsonl" else 0)
            path = self.path / name
            if os.path.exists(path) and not os.access(path, needed):
                raise ConfigError(f"--model_dir={self.path}: {name} may not be read and written here: change its "
                                  "permissions")

    def _move_aside(self, events: Sequence[str]) -> None:
        """Moves what the folder holds of another run, and forgets that run."""
        own = [path for paths in self.event_files(self._replaced).values() for path in paths]
        place = move_aside(self.path, {*own, *(self.path / name for name in events)})
        if place is not None:
            self.warnings.append(f"the files of the run that was here are now in {place}")


@contextlib.contextmanager
def own_folder(config: Config, kind: str = "") -> Iterator[Config]:
    """Inside the block the folder of a run, or of another `kind` of work, is this process' alone.

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


def check_folder(config: Config) -> None:
    """Refuses a folder that `fit` would refuse, and writes nothing: it takes no TensorFlow to tell.

    Raises:
      ConfigError: it holds something else, cannot be written, or does not fit `config.resume`.
    """
    RunDirectory(config)


def with_default_name(config: Config) -> Config:
    """`config` with the name that a new folder would get, if it names none; no folder is made."""
    return config if config.model_dir else dataclasses.replace(config, model_dir=next(default_names(config)))


def default_names(config: Config, kind: str = "") -> Iterator[str]:
    """`runs/<time>-<short name>`: the data and the penalties, for example runs/20260131-101530-digits-l1=0.001.

    The further ones are for what starts within the same second.
    """
    dataset = re.sub(r"\W+", "-", pathlib.Path(config.dataset).stem)
    penalties = "".join(f"-{name}={in_names(strength)}" for name, strength in config.strengths.items()
                        if not is_zero(strength))
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
