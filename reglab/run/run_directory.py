"""The folder of a run and the files in it that are neither metrics nor checkpoints."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from reglab.config import Config, ConfigError
from reglab.run.found_run import FILES, check_writable, find_run, known_data, usable_path
from reglab.run.older import has_two_splits
from reglab.run.restart import move_aside
from reglab.run.run_file import NAME, RunFile
from reglab.storage.files import (
    StorageError,
    check_folder_not_removed,
    misplaced,
    remove_temporaries,
    write_atomically,
    writing,
)


class RunDirectory:
    """The files of one run. Nothing is written before `create`.

    Args:
      config: the configuration of the run; its `model_dir` is the folder.

    Attributes:
      path: the folder.
      holds_run: whether it holds a run.
      exists: whether it holds a run of this configuration, to be resumed.
      run_file: the contents of `run.json`.
      knows_run: whether `run.json` was there and whole; if not, it is written again as far as possible.
      is_older: whether the run was written by an older reglab, which did not label checkpoints.
      goes_on_from: the configuration of the run if it is to go on further than that says; else None.
      warnings: a line for the user about each damaged file.

    Raises:
      ConfigError: the folder holds something else, cannot be written, or does not fit `config.resume`.
    """

    def __init__(self, config: Config) -> None:
        assert config.model_dir is not None
        self.path = usable_path(config.model_dir)
        self._config = config
        found = find_run(self.path, config)
        self.holds_run, self.knows_run, self.is_older = found.holds_run, found.knows_run, found.is_older
        self.goes_on_from, self.warnings = found.goes_on_from, found.warnings
        self.exists = self.holds_run and config.resume != "restart"
        self.run_file = RunFile() if config.resume == "restart" else found.run_file
        self._replaced = found.run_file  # With --resume=restart, that of the run being replaced.
        self._writing_run_file = threading.Lock()  # The thread that writes checkpoints notes each of them.
        if config.resume == "must" and not self.exists:
            raise ConfigError(f"--resume=must, but --model_dir={self.path} holds no run: "
                              "name the folder of the run to go on with")
        check_writable(self.path)

    @property
    def checkpoints(self) -> pathlib.Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> pathlib.Path:
        """The file of the metrics."""
        return self.path / "metrics.jsonl"

    def event_files(self, run_file: RunFile | None = None) -> dict[str, list[pathlib.Path]]:
        """Maps splits to the event files of a run, by default this one: named with its id, or listed in `run.json`."""
        run_file = run_file or self.run_file
        return {split: [path for path in self.all_event_files(split) if path.name.endswith(f".{run_file.run}")
                        or f"{split}/{path.name}" in run_file.events] for split in ("train", "validation")}

    def all_event_files(self, split: str) -> list[pathlib.Path]:
        """Returns the event files directly in the folder of a split, whoever wrote them."""
        return sorted(path for path in (self.path / split).glob("events.out.tfevents.*") if path.is_file())

    def bind(self, facts: Mapping[str, Any]) -> None:
        """Sets the data on which the run is trained: `facts` are the contents of `data.json`, including a digest.

        Raises:
          ConfigError: the folder's run was trained on other data.
        """
        theirs = known_data(self.path, self.run_file, self.warnings) if self.exists else None
        if theirs is not None and theirs["digest"] != facts["digest"]:
            older = ("; an earlier reglab trained it, which validated on the test part, as --validation_split=0 does"
                     if has_two_splits(theirs) and not facts.get("validated_on_test") else
                     "; an earlier reglab trained it, which had a class for every number from 0 to the largest label"
                     if "class_names" in facts and facts["classes"] < theirs.get("classes", 0) else "")
            raise ConfigError(f"--model_dir={self.path} holds a run on other data (digest {theirs['digest']}, here "
                              f"{facts['digest']}): name another folder, or put the data back{older}")
        self.run_file = dataclasses.replace(self.run_file, data=facts)

    def create(self, events: Sequence[str] = (), saved: int | None = None) -> None:
        """Makes the folder and writes `run.json`, `data.json` and `config.json`, in this order.

        With `--resume=restart`, the files of another run in the folder are moved aside first.

        Args:
          events: event files of the run that do not have its id in their names.
          saved: the step of the checkpoint from which the run goes on.

        Raises:
          ConfigError: the file system refuses.
        """
        config = self._config
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            remove_temporaries(self.path, [name for name in FILES if "/" not in name])
            if config.resume == "restart":
                # Whoever trains from this config.json later does not mean to start anew again.
                config = self._config = dataclasses.replace(config, resume="auto")
                self._move_aside(events)
            elif events or saved is not None:
                self.run_file = dataclasses.replace(self.run_file, saved=saved,
                                                    events=(*self.run_file.events, *events))
            self.run_file = dataclasses.replace(self.run_file, config=config.to_dict(), ended=None)
            self.run_file.write(self.path)
            if self.run_file.data is not None:
                write_atomically(self.path / "data.json", self._data_json())
            write_atomically(self.path / "config.json", config.to_json())
        except OSError as error:
            raise ConfigError(f"--model_dir={self.path} cannot be written ({error.strerror}): "
                              "name a folder you may write to") from None

    def keep_whole(self) -> None:
        """Writes `config.json`, `data.json` and `run.json` again if they were removed: the run needs them to go on.

        Raises:
          StorageError: the whole folder was removed or cannot be written, or something else is in a file's place.
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
        """Changes fields of `run.json`; may be called from any thread.

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
        self.note(result=None)  # Until the file is written, its digest is not known.
        with writing(self.path / "result.json"):
            write_atomically(self.path / "result.json", text)
        self.note(result=hashlib.sha256(text.encode()).hexdigest())

    def remove_result(self) -> None:
        """Removes `result.json`: the run is not complete any more.

        Raises:
          StorageError: it cannot be removed.
        """
        self.note(result=None)
        with writing(self.path / "result.json"):
            (self.path / "result.json").unlink(missing_ok=True)

    def _data_json(self) -> str:
        return json.dumps(self.run_file.data, indent=2) + "\n"

    def _move_aside(self, events: Sequence[str]) -> None:
        """Moves the files of the run being replaced aside, and warns where they are now."""
        own = [path for paths in self.event_files(self._replaced).values() for path in paths]
        place = move_aside(self.path, {*own, *(self.path / name for name in events)})
        if place is not None:
            self.warnings.append(f"the files of the run that was here are now in {place}")


def check_folder(config: Config) -> None:
    """Refuses a folder that `fit` would refuse, without writing anything or importing TensorFlow.

    Raises:
      ConfigError: it holds something else, cannot be written, or does not fit `config.resume`.
    """
    RunDirectory(config)
