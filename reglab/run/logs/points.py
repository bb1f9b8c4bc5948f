"""The points of a run, which are held by both `metrics.jsonl` and the event files.

A point is what was recorded at a step of a split: a measured step or an evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from reglab.core.lazily import np
from reglab.run.logs.tags import EVALUATED

SPLITS: Final = ("train", "validation")


class Key(NamedTuple):
    """Where a point belongs. Keys sort in the order of writing: an evaluation comes before the step that follows it."""

    step: int
    kind: str  # evaluation or measured
    split: str

    def stays(self, last_step: int) -> bool:
        """Returns whether the point is known after `last_step` updates; a step is measured before its update."""
        return self.step < last_step or (self.step == last_step and self.kind == "evaluation")


class Point(NamedTuple):
    """The numbers of a point by tag; `source` is the line or record that holds them, exactly as in the file."""

    values: dict[str, float]
    wall_time: float | None
    source: bytes


def key_of(step: int, split: str, tags: Iterable[str]) -> Key:
    """Returns the key of a point with these tags."""
    return Key(step, "evaluation" if any(tag.startswith(EVALUATED) for tag in tags) else "measured", split)


def agree(line: Mapping[str, float], record: Mapping[str, float]) -> bool:
    """Returns whether a line of `metrics.jsonl` agrees with an event record, which holds float32."""
    if line.keys() != record.keys():
        return False
    with np.errstate(over="ignore"):
        exact = np.array(list(line.values()), np.float64).astype(np.float32)
    rounded = np.array([record[tag] for tag in line], np.float32)
    # A line has null for whatever is not finite.
    return bool(np.all((exact == rounded) | (~np.isfinite(rounded) & ~np.isfinite(exact))))
