"""Checkpoints: `ckpt-<step>` files that are whole or absent, newest first, and the best state apart.

The files are those of `tf.train.Checkpoint`. Which ones exist is read from the folder, not from TensorFlow's
`checkpoint` index file: where that is lost or garbled, TensorFlow finds nothing and would silently start anew.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import tensorflow as tf

from reglab.config import ConfigError
from reglab.step import State

_OWN_FILE: Final = re.compile(
    r"ckpt-(?P<step>\d+)(?:\.(?:index|data-\d+-of-\d+)(?P<leftover>\.tempstate\d*)?|_temp)")


class Checkpoints:
    """The checkpoints of one run.

    Args:
      directory: the folder; made at the first save.
      state: the variables that are saved and restored, all of the training state.
      keep: how many to keep, besides the best.
    """

    def __init__(self, directory: str | os.PathLike[str], state: State, keep: int) -> None:
        self._directory, self._state, self._keep = pathlib.Path(directory), state, keep
        self._checkpoint = tf.train.Checkpoint(**state)

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, oldest first. The index file is what TensorFlow writes last."""
        found = (re.fullmatch(r"ckpt-(\d+)\.index", path.name) for path in self._directory.glob("ckpt-*.index"))
        return sorted(int(match[1]) for match in found if match)

    def save(self) -> int:
        """Saves the state under its step, drops the oldest beyond `keep`, and returns the step.

        Those of later steps go too: the run would stand there if they were not damaged.
        """
        step = int(self._state["step"])
        self._checkpoint.write(str(self._directory / f"ckpt-{step}"))
        _remove_all_but([at for at in self.steps() if at <= step][-self._keep:], self._directory)
        return step

    def restore_latest(self, warn: Callable[[str], None]) -> int | None:
        """Restores the newest checkpoint that can be read; None where there is none at all.

        Args:
          warn: told, in a line, of each damaged checkpoint that is passed over.

        Raises:
          ConfigError: there are checkpoints, but none can be read: a silent start from step 0 would lose work.
        """
        steps = self.steps()
        _remove_all_but(steps, self._directory)
        for step in reversed(steps):
            try:
                self._read(self._directory / f"ckpt-{step}")
                return step
            except (tf.errors.OpError, ValueError, IndexError, AssertionError, OSError) as error:
                warn(f"checkpoint ckpt-{step} is damaged and passed over ({_first_line(error)})")
        if steps:
            raise ConfigError(f"--model_dir: none of the {len(steps)} checkpoints in {self._directory} can be read; "
                              "put back a whole one, or train into another folder")
        return None

    def save_best(self, facts: Mapping[str, Any]) -> None:
        """Keeps the state as the best so far: `best/ckpt-<step>` and `best/best.json` with `facts`."""
        best = self._directory / "best"
        self._checkpoint.write(str(best / f"ckpt-{facts['step']}"))
        temporary = best / ".best.json.tmp"
        temporary.write_text(json.dumps(facts, indent=2) + "\n")
        os.replace(temporary, best / "best.json")
        _remove_all_but([facts["step"]], best)

    def best(self, last_step: int) -> dict[str, Any] | None:
        """The facts of the best state so far, unless there is none or it lies beyond `last_step`."""
        try:
            facts: dict[str, Any] = json.loads((self._directory / "best" / "best.json").read_text())
            return facts if facts["step"] <= last_step else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _read(self, prefix: pathlib.Path) -> None:
        self._checkpoint.read(str(prefix)).assert_existing_objects_matched()


def _remove_all_but(steps: Collection[int], directory: pathlib.Path) -> None:
    """Removes the checkpoints of other steps, and what a kill during a save or a removal left behind."""
    # An index first: without it the rest counts as no checkpoint, whenever this is interrupted.
    for path in sorted(directory.glob("ckpt-*"), key=lambda path: path.suffix != ".index"):
        match = _OWN_FILE.fullmatch(path.name)
        if match and path.is_dir():
            shutil.rmtree(path)
        elif match and (match["leftover"] or int(match["step"]) not in steps):
            path.unlink()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
