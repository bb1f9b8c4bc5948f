"""`Record`: what a folder tells of its run, comparison, sweep or path."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reglab.config import HANDLING_FIELDS

LEFT_OUT: Final = HANDLING_FIELDS - {"name"}
"""The fields that are no settings: they say where something is kept and what it runs on."""
KINDS: Final = ("run", "compare", "sweep", "path")
STATES: Final = ("done", "running", "stopped", "diverged", "unfinished", "broken")
"""running: a process owns the folder. stopped: a signal ended it, and it can go on. unfinished: it ended before it was
complete, without a word. broken: its files cannot be read."""


@dataclasses.dataclass(frozen=True)
class Record:
    """What a folder tells.

    Attributes:
      folder: the folder.
      kind: one of `KINDS`.
      state: one of `STATES`.
      note: more about the state, for people; may be empty.
      settings: what was trained, by the name of its flag; a list where several values were tried.
      content: the contents of the result: `result.json`, `compare.json`, `sweep.json` or `path.json`; unchecked.
      facts: the contents of `data.json`, of a run; unchecked.
      step: how many updates were made, of a run.
      steps: how many are to be made, of a run.
      best: the lowest validation data loss, never with a penalty in it, and the accuracy there. Of a comparison or a
        sweep, the means of the option that was chosen.
      changed: when its last result was written, in seconds since 1970.
      size: what it takes on the disk, in bytes; None if nobody asked.
      problems: a line for each file that is damaged or missing.
    """

    folder: pathlib.Path
    kind: str
    state: str
    note: str = ""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    content: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    step: int | None = None
    steps: int | None = None
    best: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    changed: float | None = None
    size: int | None = None
    problems: Sequence[str] = ()

    @property
    def dataset(self) -> str | None:
        """The name of the data set, or the path of its file."""
        name = self.settings.get("dataset")
        return name if isinstance(name, str) else None

    def to_dict(self) -> dict[str, Any]:
        """Returns what is told in a line of a list, as JSON values."""
        return {"folder": str(self.folder), "kind": self.kind, "state": self.state, "note": self.note,
                "dataset": self.dataset, "settings": dict(self.settings), "step": self.step, "steps": self.steps,
                "best": {"data_loss": self.best.get("data_loss"), "accuracy": self.best.get("accuracy")},
                "changed": self.changed, "bytes": self.size, "problems": list(self.problems)}


def size_of(folder: str | os.PathLike[str]) -> int:
    """Returns how many bytes the files in a folder have; links are not followed, and what cannot be read counts 0."""
    total, waiting = 0, [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


def changed_at(*paths: pathlib.Path) -> float | None:
    """Returns when the first of these files that exists was written, in seconds since 1970, or None."""
    for path in paths:
        try:
            return path.stat().st_mtime
        except OSError:
            continue
    return None
