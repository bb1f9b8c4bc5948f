"""The folder of a sweep: its plan, its finished chunks and its results.

    plan.json                 what is being swept; another sweep is refused
    chunks/chunk-000.json …   the evaluations of each finished chunk, which a killed sweep need not repeat
    sweep.json, sweep.csv     the points and the choice; *.png and *.svg, pictures of them
    timing.json               how long it took
    tensorboard/<point>/…     the curves, means over seeds and folds; in overview/, what was run and found
    winner/, winner_1se/      the chosen points as runs of `reglab.train`
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import IO, Any, Final

from reglab.config import ConfigError
from reglab.storage.files import (
    StorageError,
    check_file_not_removed,
    misplaced,
    remove_temporaries,
    write_atomically,
    writing,
)
from reglab.storage.locks import LOCK_NAMES
from reglab.storage.reading import Missing, Unreadable, read_bytes, read_object
from reglab.sweep.parts import NotThePart, plan_digest, plan_of_today, read_sealed, sealed

_FILES: Final = ("plan.json", "timing.json", "sweep.json", "sweep.csv", "path.json", "path.csv", "heatmap.png",
                 "heatmap.svg", "path.png", "path.svg", "reproduction.json", "reproduction.csv", "reproduction.png",
                 "reproduction.svg")
_MOST_BYTES: Final = 2**26
"""The largest JSON file that is read back; with 100,000 lanes a chunk takes a thousandth of this."""
_FOLDERS: Final = ("chunks", "tensorboard", "winner", "winner_1se")


class SweepFolder:
    """The files of one sweep, path or reproduction. Nothing is written before `open`.

    Args:
      path: the folder.
      resume: as `Config.resume`.
      kind: "sweep", "path" or "reproduction", the name of its result.

    Attributes:
      plan: the plan of the folder's sweep, or None if it holds none.
      digest: the digest of the plan, including that of the data; every part of the sweep names it.

    Raises:
      ConfigError: the folder holds something else, or does not fit `resume`.
    """

    def __init__(self, path: str, resume: str, kind: str = "sweep") -> None:
        self.path, self._kind = pathlib.Path(path).expanduser(), kind
        self._written: set[str] = set()
        self.plan = self._read_plan(f"--model_dir={self.path}")
        if resume == "restart":
            raise ConfigError(f"--resume=restart is of reglab.train: give --model_dir another folder than {self.path}")
        if resume == "must" and self.plan is None:
            raise ConfigError(f"--resume=must, but --model_dir={self.path} holds no {kind}: "
                              f"name the folder of the {kind} to go on with")
        if resume == "never" and self.plan is not None:
            raise ConfigError(f"--model_dir={self.path} already holds a {kind}, and --resume=never: name another "
                              "folder, or use --resume=auto to go on with it")

    def open(self, plan: Mapping[str, Any], data: str | None = None, *, has_test: bool = False) -> None:
        """Makes the folder that of `plan`, or checks that it is; arguments as for `check`.

        Raises:
          ConfigError: the folder belongs to another plan, or cannot be written.
        """
        plan = self.check(plan, data, has_test=has_test)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.write_json("plan.json", plan)  # First, since a folder without it does not count as a sweep's.
            (self.path / "chunks").mkdir(exist_ok=True)
            remove_temporaries(self.path, _FILES)
            remove_temporaries(self.path / "chunks", ("chunk-*.json", "point-*.json", "point-*.npz", "part-*.json"))
        except StorageError as error:
            raise ConfigError(f"--model_dir={self.path}: {error}") from None
        except OSError as error:
            raise ConfigError(f"--model_dir={self.path} cannot be written ({error.strerror}): "
                              "name a folder you may write to") from None

    def check(self, plan: Mapping[str, Any], data: str | None = None, *, has_test: bool = False) -> dict[str, Any]:
        """Checks that the folder is that of `plan`, or of none; returns the contents of its `plan.json`.

        Args:
          data: the digest of the data.
          has_test: whether the data have a test part.

        Raises:
          ConfigError: the folder belongs to another plan.
        """
        plan = {"kind": self._kind, **plan, "data": data}
        if self.plan is not None:
            # An older reglab did not note its data, and used the test part for validation.
            noted = self.plan.get("data", None if has_test else data)
            differences = different_fields(plan, {**self.plan, "data": noted})
            if differences:
                raise ConfigError(f"--model_dir={self.path} holds another {self._kind} ({'; '.join(differences)}): "
                                  f"name another folder, or give the flags of that {self._kind}")
        self.digest = plan_digest(plan)
        return plan

    def read_part(self, name: str, part: Mapping[str, Any], warn: Callable[[str], None]) -> dict[str, Any] | None:
        """Returns the evaluations of a finished part, or None if there are none; `warn` gets a line if its file is bad.

        Raises:
          ConfigError: something other than a file is in its place.
        """
        self.check_place(name)
        try:
            return read_sealed(self.path / name, part)
        except NotThePart as error:
            warn(f"{self.path / name} {error}: trained again")
            return None

    def check_place(self, name: str) -> None:
        """Checks that nothing but a file is in the place of a file.

        Raises:
          ConfigError: something else is there.
        """
        problem = misplaced(self.path, [name])
        if problem is not None:
            raise ConfigError(f"--model_dir={self.path}: {problem}")

    def write_part(self, name: str, evaluations: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
        """Writes a finished part and returns its evaluations as they will be read back."""
        text = json.dumps(sealed(evaluations, part), allow_nan=False)
        self.write_text(name, text)
        read: dict[str, Any] = json.loads(text)
        return {key: value for key, value in read.items() if key not in ("part", "digest")}

    def write_json(self, name: str, value: Any) -> None:
        """Writes a file, whole or not at all."""
        self.write_text(name, json.dumps(value, indent=2, allow_nan=False))

    def write_result(self, name: str, result: Mapping[str, Any]) -> None:
        """Writes a result that was not yet held against the test part, unless the file has all of it and that too."""
        with contextlib.suppress(Missing, Unreadable):
            there = read_object(self.path / name)
            if there.pop("test", None) is not None and there == json.loads(json.dumps(result)):
                return
        self.write_json(name, result)

    def write_text(self, name: str, text: str) -> None:
        """Writes a file, whole or not at all."""
        self.write_bytes(name, lambda file: file.write((text if text.endswith("\n") else text + "\n").encode()))

    def write_bytes(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        """Writes a file, whole or not at all.

        Raises:
          StorageError: the file system refuses.
        """
        with writing(self.path / name):
            write_atomically(self.path / name, write)
            self._written.add(name)

    def check_results(self) -> None:
        """Checks that all results that this process wrote are still there.

        Raises:
          StorageError: one is not; the same call writes it again.
        """
        with writing(self.path):
            for name in sorted(self._written & set(_FILES)):
                check_file_not_removed(self.path / name)

    def read_json(self, name: str) -> Any:
        """Returns the contents of a file, or None if there is no such file or it is damaged."""
        try:
            return json.loads(read_bytes(self.path / name, _MOST_BYTES).decode())
        except (ValueError, RecursionError):
            return None

    def _read_plan(self, flag: str) -> dict[str, Any] | None:
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{flag} is a file: name a folder")
        problem = misplaced(self.path, _FILES, _FOLDERS)
        if problem is not None:
            raise ConfigError(f"{flag}: {problem}")
        plan = self.read_json("plan.json")
        found = sorted(set(os.listdir(self.path)) - {".plan.json.tmp"} - LOCK_NAMES) if self.path.is_dir() else []
        if plan is None and "plan.json" in found:
            raise ConfigError(f"{flag} holds a {self._kind}'s plan.json that is damaged: put it back, or name another "
                              "folder")
        if plan is None and found:
            raise ConfigError(f"{flag} holds {found[0]} but no readable plan.json, so it is no {self._kind}'s: "
                              "name a new or an empty folder")
        if plan is not None and (not isinstance(plan, dict) or plan.get("kind") != self._kind):
            raise ConfigError(f"{flag} holds something else than a {self._kind}: name another folder")
        return None if plan is None else plan_of_today(plan)


def different_fields(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Returns the fields of nested mappings that differ, as texts `name: mine, not theirs`."""
    found = []
    for name in {**mine, **theirs}:
        a, b = mine.get(name), theirs.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += different_fields(a, b)
        elif a != b:
            found.append(f"{name}: {a!r}, not {b!r}")
    return found
