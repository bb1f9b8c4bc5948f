"""The folder of a sweep: whose it is, its finished chunks, its results.

    plan.json                 what is being swept; another sweep is refused
    chunks/chunk-000.json …   the numbers of each finished chunk: what a killed sweep need not do again
    sweep.json, sweep.csv     the points and the choice; *.png and *.svg, pictures of them
    timing.json               how long it took
    tensorboard/<point>/…     the curves, the mean over seeds and folds
    winner/, winner_1se/      the chosen points as runs of `reglab.train`
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import IO, Any

from reglab.config import ConfigError
from reglab.files import write_atomically


class SweepFolder:
    """The files of one sweep or path. Nothing is written before `open`.

    Args:
      path: the folder.
      resume: as `Config.resume`.
      kind: "sweep" or "path", the name of its result.

    Attributes:
      plan: what the folder's sweep was planned as, or None if it holds none.

    Raises:
      ConfigError: the folder holds something else, or does not fit `resume`.
    """

    def __init__(self, path: str, resume: str, kind: str = "sweep") -> None:
        self.path, self._kind = pathlib.Path(path).expanduser(), kind
        self.plan = self._read_plan(f"--model_dir={self.path}")
        if resume == "must" and self.plan is None:
            raise ConfigError(f"--resume=must, but --model_dir={self.path} holds no {kind}: "
                              f"name the folder of the {kind} to go on with")
        if resume == "never" and self.plan is not None:
            raise ConfigError(f"--model_dir={self.path} already holds a {kind}, and --resume=never: name another "
                              "folder, or use --resume=auto to go on with it")

    def open(self, plan: Mapping[str, Any]) -> None:
        """Makes the folder the one of `plan`, or checks that it is.

        Raises:
          ConfigError: it is another's, or cannot be written.
        """
        plan = {"kind": self._kind, **plan}
        if self.plan is not None:
            differences = different_fields(plan, self.plan)
            if differences:
                raise ConfigError(f"--model_dir={self.path} holds another {self._kind} ({'; '.join(differences)}): "
                                  f"name another folder, or give the flags of that {self._kind}")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.write_json("plan.json", plan)  # First of all: a folder without it is not taken for a sweep's.
            (self.path / "chunks").mkdir(exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--model_dir={self.path} cannot be written ({error.strerror}): "
                              "name a folder you may write to") from None

    def write_json(self, name: str, value: Any) -> None:
        """Writes a file, whole or not at all."""
        self.write_text(name, json.dumps(value, indent=None if name.startswith("chunks/") else 2, allow_nan=False))

    def write_text(self, name: str, text: str) -> None:
        """Writes a file, whole or not at all."""
        self.write_bytes(name, lambda file: file.write((text if text.endswith("\n") else text + "\n").encode()))

    def write_bytes(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        """Writes a file, whole or not at all."""
        write_atomically(self.path / name, write)

    def read_json(self, name: str) -> Any:
        """The contents of a file; None if there is none or it is damaged."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _read_plan(self, flag: str) -> dict[str, Any] | None:
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{flag} is a file: name a folder")
        plan = self.read_json("plan.json")
        found = sorted(set(os.listdir(self.path)) - {".plan.json.tmp"}) if self.path.is_dir() else []
        if plan is None and found:
            raise ConfigError(f"{flag} holds {found[0]} but no readable plan.json, so it is no {self._kind}'s: "
                              "name a new or an empty folder")
        if plan is not None and (not isinstance(plan, dict) or plan.get("kind") != self._kind):
            raise ConfigError(f"{flag} holds something else than a {self._kind}: name another folder")
        return plan


def different_fields(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """The fields of nested mappings that differ, as `name: mine, not theirs` texts."""
    found = []
    for name in {**mine, **theirs}:
        a, b = mine.get(name), theirs.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += different_fields(a, b)
        elif a != b:
            found.append(f"{name}: {a!r}, not {b!r}")
    return found
