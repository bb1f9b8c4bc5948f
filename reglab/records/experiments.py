"""What the folders of comparisons, sweeps and paths tell."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any, Final

from reglab.records.record import LEFT_OUT, Record, changed_at
from reglab.records.runs import running_note
from reglab.records.told import count_at, list_at, mapping_at, number_at, told_in, value_at
from reglab.storage.reading import Missing, Unreadable, parse_object, read_bytes

PARTIAL: Final = ".partial"
"""The folder in which a comparison at work prepares its files."""
_MOST_BYTES: Final = 1 << 28


def read_comparison(folder: pathlib.Path) -> Record:
    """Returns the record of a comparison. It writes all of its files at the end, so before that nothing is told."""
    changed = changed_at(folder / "compare.json", folder / PARTIAL)
    try:
        content = told_in(_object_in, folder / "compare.json")
        if not list_at(content, "arms"):
            raise Unreadable("tells no arms")
    except Missing:
        running = running_note(folder)
        return Record(folder, "compare", "unfinished" if running is None else "running",
                      "nothing is written before the end" if running is None else running, changed=changed)
    except Unreadable as error:
        line = f"compare.json {error}"
        return Record(folder, "compare", "broken", line, changed=changed, problems=[line])
    means = [{name: number_at(arm, "final", f"validation_{name}", "mean") for name in ("data_loss", "accuracy")}
             for arm in list_at(content, "arms")]
    selection = value_at(content, "findings", "selection")
    return Record(folder, "compare", "done", "", _settings(content), content, {}, None, None,
                  _chosen(means, "accuracy" if selection == "accuracy" else "data_loss"), changed)


def read_sweep(folder: pathlib.Path) -> Record:
    """Returns the record of a sweep or a path."""
    problems: list[str] = []
    try:
        plan = told_in(_object_in, folder / "plan.json")
    except Unreadable as error:
        plan = {}
        problems.append(f"plan.json {error}")
    kind = value_at(plan, "kind")
    kind = kind if kind in ("sweep", "path") else "path" if (folder / "path.json").exists() else "sweep"
    try:
        content = told_in(_object_in, folder / f"{kind}.json")
        if not list_at(content, "points"):
            raise Unreadable("tells no points")
    except Missing:
        content = {}
    except Unreadable as error:
        content = {}
        problems.append(f"{kind}.json {error}")
    state, note = _state(folder, content, plan)
    changed = changed_at(folder / f"{kind}.json", *sorted((folder / "chunks").glob("*.json"), reverse=True),
                         folder / "plan.json")
    best = value_at(content, "points", value_at(content, "best")) if count_at(content, "best") is not None else None
    scores = {name: number_at(best, "validation", name, "mean") for name in ("data_loss", "accuracy")} if best else {}
    return Record(folder, kind, state, note or "; ".join(problems) * (state == "broken"), _settings(content or plan),
                  content, {}, None, None, scores, changed, None, problems)


def _state(folder: pathlib.Path, content: Mapping[str, Any], plan: Mapping[str, Any]) -> tuple[str, str]:
    running = running_note(folder)
    parts = sum(1 for _ in (folder / "chunks").glob("*.json"))
    if running is not None:
        return "running", ", ".join(filter(None, [f"{parts} parts done", running]))
    if content:
        return "done", ""
    if not plan:
        return "broken", ""
    return "unfinished", f"{parts} {'part' if parts == 1 else 'parts'} done"


def _settings(content: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: value for name, value in mapping_at(content, "config").items() if name not in LEFT_OUT}
    for name, values in mapping_at(content, "grid").items():
        if isinstance(values, list) and values:
            settings[name] = values[0] if len(values) == 1 else {"values": values}
    for name in ("seeds", "folds", "vary"):
        value: Any = value_at(content, name)
        value = len(value) if isinstance(value, list) else value
        if value not in (None, 1, "weights"):
            settings[name] = value
    return settings


def _chosen(means: list[dict[str, float | None]], selection: str) -> dict[str, float | None]:
    """Returns the scores of the best arm: the lowest data loss, or the highest accuracy."""
    sign = -1 if selection == "accuracy" else 1
    known = [scores for scores in means if scores[selection] is not None]
    return min(known, key=lambda scores: sign * (scores[selection] or 0.0), default={})


def _object_in(path: pathlib.Path) -> dict[str, Any]:
    content = read_bytes(path, _MOST_BYTES)
    try:
        return parse_object(content)
    except ValueError:
        raise Unreadable("is empty" if not content.strip(b"\0 \n") else "holds no JSON object") from None
