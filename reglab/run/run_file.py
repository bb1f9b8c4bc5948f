"""`run.json`: which run a folder holds, and how far it was saved.

It serves to tell a run's own files from others: every checkpoint is labelled with the run's id, and the names of its
event files end in it. It repeats the configuration and the facts of the data, so that the files of either may be lost.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from reglab.storage.files import write_atomically
from reglab.storage.reading import Unreadable, is_count, read_sealed, sealed

NAME: Final = "run.json"
ENDS: Final = ("stopped", "diverged")
"""How a run may say that it ended before it was complete."""


def is_run_id(value: Any) -> bool:
    """Returns whether a value can be the id of a run."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{16}", value) is not None


@dataclasses.dataclass(frozen=True)
class RunFile:
    """The contents of `run.json`.

    Attributes:
      run: the id of the run, drawn at random: 16 hexadecimal digits.
      saved: the step of the last completed checkpoint, or None before the first.
      config: the contents of `config.json`.
      data: the contents of `data.json`.
      result: the SHA-256 of `result.json`, once the run is complete.
      events: event files whose names lack the id because an older reglab wrote them: "train/…".
      ended: where the run ended before it was complete, "how" (one of `ENDS`), the "step" and a "line" for people.
    """

    run: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex[:16])
    saved: int | None = None
    config: Mapping[str, Any] | None = None
    data: Mapping[str, Any] | None = None
    result: str | None = None
    events: tuple[str, ...] = ()
    ended: Mapping[str, Any] | None = None

    def write(self, folder: pathlib.Path) -> None:
        """Writes it, whole or not at all.

        Raises:
          OSError: the file system refuses.
        """
        fields = dataclasses.asdict(self)
        if self.ended is None:
            del fields["ended"]
        write_atomically(folder / NAME, sealed(fields))


def read_run_file(folder: pathlib.Path) -> RunFile:
    """Returns the contents of the folder's `run.json`.

    Raises:
      Missing: there is none, as in the folder of a run that an older reglab wrote.
      Unreadable: it is damaged.
    """
    fields = read_sealed(folder / NAME)
    checks: dict[str, Callable[[Any], bool]] = {
        "run": is_run_id, "saved": lambda value: value is None or is_count(value),
        "config": lambda value: value is None or isinstance(value, dict),
        "data": lambda value: value is None or isinstance(value, dict),
        "result": lambda value: value is None or isinstance(value, str),
        "events": lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value)}
    wrong = next((name for name, is_right in checks.items() if name not in fields or not is_right(fields[name])), None)
    if wrong is not None:
        raise Unreadable(f"does not tell {wrong!r} of the run")
    ended = fields.get("ended")
    return RunFile(**{name: fields[name] for name in checks if name != "events"}, events=tuple(fields["events"]),
                   ended=ended if isinstance(ended, dict) else None)
