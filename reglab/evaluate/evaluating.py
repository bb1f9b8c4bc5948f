"""`evaluate`: looks at the network of a run with the examples of one split, and writes the result."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from reglab.config import ConfigError
from reglab.data.labels import ClassName
from reglab.evaluate.looks import note_look, read_looks
from reglab.evaluate.pictures import calibration_picture, confusion_picture
from reglab.evaluate.report import sentences
from reglab.evaluate.subject import Data, Subject, check_options, find_subject
from reglab.run.restart import EVALUATIONS
from reglab.storage.files import misplaced, write_atomically, writing
from reglab.storage.json_values import for_json
from reglab.storage.ownership import owning
from reglab.storage.reading import Missing, Unreadable, read_object
from reglab.trained.network import Network, read_network
from reglab.trained.scores import Tally
from reglab.trained.source import read_source, run_folder, usable_place

RESULT: Final = "evaluation.json"


@dataclasses.dataclass(frozen=True, repr=False)
class Evaluated:
    """The outcome of an evaluation.

    Attributes:
      result: the contents of `evaluation.json`.
      folder: the folder that holds it and the pictures; None if nothing was written.
    """

    result: dict[str, Any]
    folder: pathlib.Path | None

    def __repr__(self) -> str:
        return f"<{self.result['sentences'][0]}>"


def evaluate(model_dir: str | os.PathLike[str], data: Data | None = None, *, dataset: str | None = None,
             data_dir: str | os.PathLike[str] | None = None, split: str | None = None, state: str = "best",
             output: str | os.PathLike[str] | None = None) -> Evaluated:
    """Evaluates a run's network: data loss, accuracy, precision, recall, confusion and calibration.

    By default the examples are the test part of the run's data, read again as its configuration names them. Each look
    is noted in the folder of the run, since a second look at a test part is no longer unbiased.

    Args:
      model_dir: the folder of the run.
      data: the run's data, if its configuration does not name them, or new data.
      dataset: new data, by the name of a data set or a file: its test part or, if there is none, all of it.
      data_dir: the folder of the files of the run's data, or of `dataset`.
      split: "test", "validation" or "train".
      state: `best`, the state of lowest validation data loss, or `last`.
      output: a folder for the files written, instead of one below `evaluation/` in the folder of the run.

    Raises:
      ConfigError: the run or the data cannot be used, or a folder is in use or cannot be written.
      StorageError: the file system refused while work was in progress.
    """
    check_options(split, state)
    folder = run_folder(model_dir)
    source = read_source(folder)
    subject = find_subject(folder, source, data, dataset=dataset, split=split,
                           data_dir=None if data_dir is None else os.fspath(data_dir))
    return look(folder, subject, state=state, output=output)


def look(folder: pathlib.Path, subject: Subject, *, state: str = "best",
         output: str | os.PathLike[str] | None = None, by: str = "reglab.evaluate", once: bool = False) -> Evaluated:
    """Does what `evaluate` does, with examples already found.

    Args:
      by: the command that looks, for the record.
      once: whether a repeat of the same look by the same command counts as one look, for processes that were killed.
    """
    place = None if output is None else usable_place("output", output)
    with _owning(folder, place):
        network = read_network(folder, state)
        if place is None:
            base = re.sub(r"\W+", "-", f"{subject.data}-{subject.split}").strip("-") + f"-step-{network.step}"
            place = _free_place(folder / EVALUATIONS / base, subject, network.step)
        elif not _may_hold(place, subject, network.step):
            raise ConfigError(f"--output={place} exists already: name another folder, or remove it")
        earlier = [one for one in read_looks(folder) if one["digest"] == subject.digest]
        result = for_json({"run": str(folder), **_scored(network, subject, state), "looks_before": earlier,
                           "folder": str(place)})
        _note(folder, {"digest": subject.digest, "data": subject.data, "split": subject.split, "step": network.step,
                       "state": state, "time": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
                       "by": by}, result, once)
        result["sentences"] = sentences(result)
        _write(place, result)
    return Evaluated(result, place)


def evaluated(network: Network, subject: Subject) -> Evaluated:
    """Evaluates a network in its final state; nothing is written, and no look is noted."""
    result = for_json({"run": None, **_scored(network, subject, "last"), "looks_before": [], "is_noted": False,
                       "folder": None})
    result["sentences"] = sentences(result)[:2]  # The third is about looks.
    return Evaluated(result, None)


def _scored(network: Network, subject: Subject, state: str) -> dict[str, Any]:
    tally = Tally(network.classes)
    for part in subject.batches():
        tally.add(network.logits(part.x), part.y)
    return {"state": state, "step": network.step, "data": subject.data, "split": subject.split,
            "is_own": subject.is_own, "digest": subject.digest, **_named(tally.scores(), network.class_names)}


def _named(scores: dict[str, Any], names: Sequence[ClassName] | None) -> dict[str, Any]:
    """Returns the scores with the "name" of each class, and all "class_names", if the classes have names."""
    if names is None:
        return scores
    classes = [{"class": one["class"], "name": names[one["class"]], **one} for one in scores["classes"]]
    return {**scores, "classes": classes, "class_names": list(names)}


@contextlib.contextmanager
def _owning(folder: pathlib.Path, place: pathlib.Path | None) -> Iterator[None]:
    """Inside the block, this process alone owns `place`, if any, and the run's folder, unless it is only read."""
    with contextlib.ExitStack() as stack:
        if place is None or os.access(folder, os.W_OK):
            stack.enter_context(owning(folder))
        if place is not None:
            stack.enter_context(owning(place.parent, flag="--output", file=place.name))
        yield


def _free_place(base: pathlib.Path, subject: Subject, step: int) -> pathlib.Path:
    """Returns the first of base, base-2, … that holds nothing else."""
    names = itertools.chain([base], (base.with_name(f"{base.name}-{number}") for number in itertools.count(2)))
    return next(place for place in names if _may_hold(place, subject, step))


def _may_hold(place: pathlib.Path, subject: Subject, step: int) -> bool:
    """Whether a folder is free, or holds the evaluation of the same examples at the same step.

    Raises:
      ConfigError: something that is no folder is in its place.
    """
    if (problem := misplaced(place.parent, folders=[place.name])) is not None:
        raise ConfigError(problem)
    if not os.path.lexists(place) or (place.is_dir() and not any(place.iterdir())):
        return True
    try:
        there = read_object(place / RESULT)
    except Missing:  # Left by a process that was killed before it wrote its last file.
        return all(path.suffix in (".png", ".svg", ".tmp") for path in place.iterdir())
    except Unreadable:
        return False
    return (there.get("digest"), there.get("step")) == (subject.digest, step)


def _note(folder: pathlib.Path, noted: dict[str, Any], result: dict[str, Any], once: bool) -> None:
    """Notes the look if the run's folder is writable, and records in the result whether it is noted."""
    same = [one for one in result["looks_before"] if {**one, "time": ""} == {**noted, "time": ""}] if once else []
    result["looks_before"] = [one for one in result["looks_before"] if one not in same]
    result["is_noted"] = bool(same) or os.access(folder, os.W_OK)
    if result["is_noted"] and not same:
        with writing(folder):
            note_look(folder, noted)


def _write(place: pathlib.Path, result: dict[str, Any]) -> None:
    """Writes the pictures, then `evaluation.json`, whose existence shows that the rest is there."""
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
        confusion_picture(result, place)
        calibration_picture(result, place)
        write_atomically(place / RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")
