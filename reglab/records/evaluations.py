"""What `reglab.evaluate` found out about a run, and how often its test part was looked at."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from reglab.records.told import list_at, number_at, told_in
from reglab.storage.reading import Missing, Unreadable, read_object, read_sealed

_FOLDER: Final = "evaluation"  # As in `run.restart` and `evaluate.looks`, whose commands write it.
_MOST: Final = 100


class Evaluations(NamedTuple):
    """What lies in `evaluation/` in the folder of a run.

    Attributes:
      results: the contents of each `evaluation.json` that tells an accuracy and its interval, by the name of its
        folder; otherwise unchecked.
      looks: the contents of `looks.json`: each look at examples, the first one first; unchecked.
      problems: a line for each file that is damaged.
    """

    results: Mapping[str, Mapping[str, Any]]
    looks: list[Any]
    problems: list[str]


def read_evaluations(folder: pathlib.Path) -> Evaluations:
    """Reads the evaluations of a run."""
    results: dict[str, Mapping[str, Any]] = {}
    problems: list[str] = []
    for path in sorted((folder / _FOLDER).glob("*/evaluation.json"))[:_MOST]:
        try:
            result = told_in(read_object, path)
            if any(number_at(result, "accuracy", name) is None for name in ("value", "low", "high")):
                raise Unreadable("tells no accuracy with its interval")
            results[path.parent.name] = result
        except Unreadable as error:
            problems.append(f"{_FOLDER}/{path.parent.name}/evaluation.json {error}")
    looks: list[Any] = []
    try:
        looks = list(list_at(told_in(read_sealed, folder / _FOLDER / "looks.json"), "looks"))
    except Missing:
        pass
    except Unreadable as error:
        problems.append(f"{_FOLDER}/looks.json {error}")
    return Evaluations(results, looks, problems)
