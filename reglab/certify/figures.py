"""Holds what a run has told to what it should have told: its metrics, event files and results."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import tensorflow as tf

from reglab.certify.identities import Expectation, gaps, identities
from reglab.certify.recomputed import Recomputed, in_force
from reglab.core.step import Hyperparameters, Step
from reglab.run.checkpoints.reading import read_best
from reglab.run.evaluation import Evaluation
from reglab.run.logs.event_points import read_event_records
from reglab.run.logs.metric_lines import read_metric_lines
from reglab.run.logs.points import SPLITS, Key, Point, agree
from reglab.run.logs.tags import gap_tags, split_tags
from reglab.run.result_file import parse_result, wrong_field
from reglab.run.run_file import RunFile
from reglab.storage.reading import Missing, Unreadable, read_bytes

_ROUNDING: Final = {"float64": 1e-9, "float32": 1e-5, "bfloat16": 1e-5}
"""The part of the numbers that a figure was made of by which rounding in a run's precision moves it."""
_IN_EVENTS: Final = 1e-6  # Event files hold float32.


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """A figure that does not hold.

    Attributes:
      file: the file, relative to the folder of the run.
      tag: the tag, or the place in a JSON file; "" if the file as a whole is wrong.
      step: the step, where the figure has one.
      found: what the file says.
      expected: what it should say.
    """

    file: str
    tag: str
    step: int | None
    found: Any
    expected: Any

    def __str__(self) -> str:
        place = "".join([f", {self.tag}" if self.tag else "", "" if self.step is None else f" at step {self.step}"])
        return f"{self.file}{place}: {self.found}, and should be {self.expected}"


@dataclasses.dataclass
class Findings:
    """What was compared.

    Attributes:
      compared: maps each file to how many of its figures were held to others.
      mismatches: those that do not hold.
    """

    compared: dict[str, int] = dataclasses.field(default_factory=dict)
    mismatches: list[Mismatch] = dataclasses.field(default_factory=list)

    def hold(self, file: str, step: int | None, found: Mapping[str, Any], expected: Iterable[Expectation],
             rounding: float) -> None:
        """Compares numbers with what they should be; those that are not there are passed over."""
        for one in expected:
            if one.tag in found and math.isfinite(one.value):
                self.compared[file] = self.compared.get(file, 0) + 1
                number = found[one.tag]
                if not _is_close(number, one, rounding):
                    self.mismatches.append(Mismatch(file, one.tag, step, number, one.value))

    def wrong(self, file: str, problem: str, expected: str = "as the run wrote it") -> None:
        """Notes that a file as a whole is not as it should be."""
        self.mismatches.append(Mismatch(file, "", None, problem, expected))


@dataclasses.dataclass(frozen=True)
class Holder:
    """Holds the files of one run to its recomputed figures and to each other.

    Attributes:
      folder: the folder of the run.
      run_file: the contents of `run.json`.
      last_step: the step of its newest checkpoint; what was told later will be told again.
      recomputed: the figures of one state.
      step, hyper: the objective in float64.
      precision: that of the run.
      keys: the points that must be there.
      rates_follow: whether the learning rate follows from the step; with --schedule=plateau it does not.
    """

    folder: pathlib.Path
    run_file: RunFile
    last_step: int
    recomputed: Recomputed
    step: Step
    hyper: Hyperparameters
    precision: str
    keys: frozenset[Key]
    rates_follow: bool = True

    def findings(self) -> Findings:
        """Compares everything."""
        found = Findings()
        lines = self._metrics(found)
        self._events(found, lines)
        self._result(found)
        self._best(found)
        return found

    def _metrics(self, found: Findings) -> dict[Key, Point]:
        try:
            read = read_metric_lines(self.folder / "metrics.jsonl")
        except Unreadable as error:
            found.wrong("metrics.jsonl", str(error))
            return {}
        if read.damaged:
            found.wrong("metrics.jsonl", f"{read.damaged} lines are damaged or told twice")
        points = {key: point for key, point in read.points.items() if key.stays(self.last_step)}
        self._points(found, "metrics.jsonl", points, _ROUNDING[self.precision])
        for key in sorted(self.keys - points.keys()):
            found.mismatches.append(Mismatch("metrics.jsonl", f"{key.kind}, {key.split}", key.step, "missing", "there"))
        return points

    def _events(self, found: Findings, lines: Mapping[Key, Point]) -> None:
        wrong = {(mismatch.step, mismatch.tag) for mismatch in found.mismatches}
        seen: set[Key] = set()
        for split, path in self._event_files():
            file = f"{split}/{path.name}"
            read = read_event_records(split, [path], lines)
            if read.damaged:
                found.wrong(file, f"{read.damaged[path]} records are damaged")
            points = {key: point for key, point in read.points.items() if key.stays(self.last_step)}
            seen |= points.keys()
            before = len(found.mismatches)
            self._points(found, file, points, max(_IN_EVENTS, _ROUNDING[self.precision]))
            wrong |= {(mismatch.step, mismatch.tag) for mismatch in found.mismatches[before:]}
            found.mismatches += [mismatch for key, point in points.items() if key in lines
                                 for mismatch in _disagreeing(file, key, lines[key], point)
                                 if (mismatch.step, mismatch.tag) not in wrong]
        for key in sorted((self.keys | lines.keys()) - seen):
            found.mismatches.append(Mismatch(f"{key.split}/", f"{key.kind}, {key.split}", key.step, "missing", "there"))

    def _event_files(self) -> Iterator[tuple[str, pathlib.Path]]:
        for split in SPLITS:
            for path in sorted((self.folder / split).glob("events.out.tfevents.*")):
                if path.is_file() and (path.name.endswith(f".{self.run_file.run}")
                                       or f"{split}/{path.name}" in self.run_file.events):
                    yield split, path

    def _points(self, found: Findings, file: str, points: Mapping[Key, Point], rounding: float) -> None:
        steps = sorted({key.step for key in points if key.kind == "measured"})
        rates = dict(zip(steps, self._rates(steps), strict=True))
        for key, point in points.items():
            values = point.values
            then = in_force(self.step, self.hyper, key.step - (key.kind == "evaluation"))
            expected = [*identities(values, self.step, then)]
            if key.kind == "measured" and self.rates_follow:
                expected.append(Expectation("learning_rate", rates[key.step], float(self.hyper.learning_rate)))
            train = points.get(key._replace(split="train")) if key.split == "validation" else None
            if train is not None:
                expected += gaps(train.values, values)
            if key.step == self.recomputed.evaluation.step:
                expected += self._of_state(key)
            found.hold(file, key.step, values, expected, rounding)

    def _rates(self, steps: list[int]) -> list[float]:
        if not steps:
            return []
        rates = self.step.schedule(self.hyper.learning_rate, tf.constant(steps, tf.int64))
        return [float(rate) for rate in tf.broadcast_to(rates, [len(steps)]).numpy()]

    def _of_state(self, key: Key) -> list[Expectation]:
        """What the point of the recomputed state should say."""
        told = self.recomputed.evaluation
        if key.kind == "measured":
            return [_exact(tag, value) for tag, value in self.recomputed.measured.items()]
        split = told.train if key.split == "train" else told.validation
        scores = [self._of_score(tag, key.split, name, split[name])
                  for tag, name in split_tags({name: name for name in split}).items()]
        if key.split == "train":
            return scores
        gaps_of = gap_tags({name: name for name in told.gap})
        return [*scores, *(_exact(tag, value) for tag, value in told.weights.items()),
                *(self._of_gap(tag, name) for tag, name in gaps_of.items())]

    def _of_score(self, place: str, split: str, name: str, value: float) -> Expectation:
        leeway = {"accuracy": self.recomputed.accuracy_rounding}.get(name, self.recomputed.loss_rounding)[split]
        is_of_weights = name not in ("accuracy", "total") and not name.endswith("data_loss")
        return Expectation(place, value, abs(value), 0.0 if is_of_weights else leeway)

    def _of_gap(self, place: str, name: str) -> Expectation:
        told = self.recomputed
        of_splits = told.accuracy_rounding if name == "accuracy" else told.loss_rounding
        scale = abs(told.evaluation.train[name]) + abs(told.evaluation.validation[name])
        return Expectation(place, told.evaluation.gap[name], scale, sum(of_splits.values()))

    def _result(self, found: Findings) -> None:
        path = self.folder / "result.json"
        try:
            result = parse_result(path)
        except Missing as error:
            if self.run_file.result is not None:
                found.wrong("result.json", str(error))
            return
        except Unreadable as error:
            found.wrong("result.json", str(error))
            return
        before = len(found.mismatches)
        if result.get("steps") == self.recomputed.evaluation.step:
            found.hold("result.json", None, _flat(result), self._of_result(self.recomputed.evaluation),
                       _ROUNDING[self.precision])
        if (wrong := wrong_field(result)) is not None and len(found.mismatches) == before:
            found.wrong("result.json", f"{wrong} is not what a result has")
        if self.run_file.result not in (None, hashlib.sha256(read_bytes(path)).hexdigest()) \
                and len(found.mismatches) == before:
            found.wrong("result.json", "changed")

    def _of_result(self, told: Evaluation) -> Iterator[Expectation]:
        for split, scores in (("train", told.train), ("validation", told.validation)):
            for name, value in scores.items():
                yield self._of_score(f"{split}/{name}", split, name, value)
        for name in told.gap:
            yield self._of_gap(f"gap/{name}", name)
        for tag, value in told.weights.items():
            yield _exact(f"weights/{tag}", value)
        for name in ("sparsity", "zeros"):
            if f"{name}/total" in told.weights:
                yield _exact(name, told.weights[f"{name}/total"])

    def _best(self, found: Findings) -> None:
        try:
            best = read_best(self.folder / "checkpoints" / "best")
        except Missing:
            return
        except Unreadable as error:
            found.wrong("checkpoints/best/best.json", str(error))
            return
        told = self.recomputed.evaluation
        if best["step"] == told.step:
            found.hold("checkpoints/best/best.json", told.step, best,
                       [self._of_score(name, "validation", name, told.validation[name])
                        for name in ("data_loss", "accuracy")], _ROUNDING[self.precision])


def _exact(tag: str, value: float) -> Expectation:
    return Expectation(tag, value, abs(value))


def _is_close(number: Any, expected: Expectation, rounding: float) -> bool:
    # A number that is not finite is null in JSON.
    return number is not None and abs(number - expected.value) <= rounding * expected.scale + expected.leeway


def _disagreeing(file: str, key: Key, line: Point, record: Point) -> Iterator[Mismatch]:
    """Yields the tags of which metrics.jsonl and an event record tell different numbers. The record has a checksum."""
    if agree(line.values, record.values):
        return
    for tag in [*line.values, *(tag for tag in record.values if tag not in line.values)]:
        mine, theirs = line.values.get(tag), record.values.get(tag)
        if mine is None or theirs is None or not agree({tag: mine}, {tag: theirs}):
            yield Mismatch("metrics.jsonl", tag, key.step, mine, f"{theirs} as in {file}")


def _flat(value: Any, place: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {place: value}
    return {inner: number for name, item in value.items()
            for inner, number in _flat(item, f"{place}/{name}" if place else name).items()}
