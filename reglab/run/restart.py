"""`--resume=restart`: moves the files of the run in a folder aside; nothing is deleted."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable
from typing import Final

from reglab.run.checkpoints.files import own_files

EVALUATIONS: Final = "evaluation"
"""The folder, in that of a run, where `reglab.evaluate` writes what it found."""
PROFILE: Final = "profile"
"""The folder, in that of a run, where a profile is written."""
_FILES: Final = ("result.json", "metrics.jsonl", "data.json", "run.json", "config.json")


def move_aside(folder: pathlib.Path, event_files: Iterable[pathlib.Path]) -> pathlib.Path | None:
    """Moves a run's files to a new folder `replaced-<number>` inside its own, `config.json` last.

    Returns:
      The new folder, or None if there was nothing to move.

    Raises:
      OSError: the file system refuses.
    """
    best = folder / "checkpoints" / "best"
    moving = [*event_files, *own_files(folder / "checkpoints"), *own_files(best), best / "best.json",
              folder / EVALUATIONS, folder / PROFILE, *(folder / name for name in _FILES)]
    moving = [path for path in moving if os.path.lexists(path)]
    if not moving:
        return None
    number = 1
    while os.path.lexists(folder / f"replaced-{number}"):
        number += 1
    aside = folder / f"replaced-{number}"
    for path in moving:  # These are renames, and every file has its old or new name: nothing must reach the disk first.
        place = aside / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.rename(path, place)
    return aside
