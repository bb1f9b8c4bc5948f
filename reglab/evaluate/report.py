"""An evaluation in words: a table, and sentences that state the result and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reglab.console.format import number, percent
from reglab.evaluate.subject import TITLES
from reglab.inputs.texts import shown

_MOST_ROWS: Final = 100
_WORST: Final = 20
_MOST_NAME: Final = 24


def title(result: Mapping[str, Any]) -> str:
    """Names the examples: `the 360 test examples of digits`."""
    return f"the {result['examples']:,} {TITLES[result['split']]} examples of {result['data']}"


def sentences(result: Mapping[str, Any]) -> list[str]:
    """Describes the accuracy and the calibration, and how far to trust them."""
    accuracy, calibration = result["accuracy"], result["calibration"]
    return [
        f"On {title(result)} the network ({result['state']} state, step {result['step']:,}) is right on "
        f"{percent(accuracy['value'])} ({100 * accuracy['confidence']:.0f} % interval {_ends(accuracy)}, over examples "
        f"like these), with a data loss of {number(result['data_loss'])} nats.",
        f"Its confidence is {percent(calibration['confidence'])} on average, and off by "
        f"{100 * calibration['expected_error']:.2f} percentage points (expected calibration error, "
        f"{len(calibration['bins'])} bins).",
        _worth(result)]


def _worth(result: Mapping[str, Any]) -> str:
    before = result["looks_before"]
    if result["is_own"] and result["split"] != "test":
        return ("It was trained on these examples, so the figures are no estimate for others." if
                result["split"] == "train" else
                "These examples chose the best state, so the figures are optimistic.")
    what = "this test part" if result["is_own"] else "these data, which are not the run's,"
    note = "" if result["is_noted"] else "; the run's folder cannot be written to, so this one is not noted"
    if not before:
        return f"This is the first look of the run at {what.rstrip(',')}{note}."
    times = "once" if len(before) == 1 else f"{len(before)} times"
    first = before[0]
    return (f"The run has looked at {what} {times} before (first by {first['by']} on {first['time'][:10]}, step "
            f"{first['step']:,}): if anything was chosen since then, these figures had a say in it{note}.")


def table(result: Mapping[str, Any]) -> str:
    """Makes the table for people."""
    accuracy, calibration = result["accuracy"], result["calibration"]
    rows = _rows(result)
    width = max(7, *(len(class_name(result, row["class"])) for row in rows))
    lines = [f"Network      {result['state']} state, step {result['step']:,} of {result['run']}",
             f"Examples     {title(result)}" + ("" if result["is_own"] else f", which are not the run's data (digest "
                                                                            f"{result['digest']})"),
             f"Data loss    {number(result['data_loss'])} nats",
             f"Accuracy     {percent(accuracy['value'])}, {accuracy['right']:,} of {result['examples']:,} "
             f"({100 * accuracy['confidence']:.0f} % interval {_ends(accuracy)})",
             f"Calibration  confidence {percent(calibration['confidence'])} on average, expected calibration error "
             f"{100 * calibration['expected_error']:.2f} %", "",
             f"{'class':>{width}}  {'support':>8}  {'precision':>9}  {'recall':>9}  most often taken for"]
    lines += [f"{class_name(result, row['class']):>{width}}  {row['support']:>8,}  {_shown(row['precision']):>9}  "
              f"{_shown(row['recall']):>9}  {_mistaken(result, row['class'])}".rstrip() for row in rows]
    if len(rows) < len(result["classes"]):
        lines.append(f"These are the {len(rows)} classes of lowest recall, of {len(result['classes']):,}; "
                     "evaluation.json has all.")
    if any(row["precision"] is None or row["recall"] is None for row in rows):
        lines.append("-: undefined, as the class was never predicted (precision) or has no example (recall)")
    return "\n".join(lines)


def class_name(result: Mapping[str, Any], label: int) -> str:
    """Returns what people call a class: its name, cut if it is long, or its number."""
    names = result.get("class_names")
    return shown(str(label if names is None else names[label]), _MOST_NAME)


def _rows(result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    classes: Sequence[Mapping[str, Any]] = result["classes"]
    if len(classes) <= _MOST_ROWS:
        return classes
    return sorted((row for row in classes if row["recall"] is not None), key=lambda row: row["recall"])[:_WORST]


def _mistaken(result: Mapping[str, Any], label: int) -> str:
    """Names the class most often predicted instead of `label`: `8 (3 times)`; empty if there is none."""
    confusion: Sequence[Sequence[int]] | None = result["confusion"]
    if confusion is None:
        return ""
    most, other = max(((count, -k) for k, count in enumerate(confusion[label]) if k != label), default=(0, 0))
    return f"{class_name(result, -other)} ({'once' if most == 1 else f'{most:,} times'})" if most else ""


def _ends(accuracy: Mapping[str, float]) -> str:
    return f"{100 * accuracy['low']:.2f} to {100 * accuracy['high']:.2f} %"


def _shown(value: float | None) -> str:
    return "-" if value is None else percent(value)
