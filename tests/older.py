"""Folders put back into the form in which an earlier reglab left them: it called the data loss `data`, and its logs
gave single batches and whole splits the same tags.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto import event_pb2

from reglab.run.logs.records import framed
from reglab.storage.reading import sealed
from reglab.sweep import parts


def older_run(folder: pathlib.Path) -> None:
    """The folder of a run, finished or not."""
    best = folder / "checkpoints" / "best"
    for path in best.glob("ckpt-*.json"):
        label = json.loads(path.read_text())
        del label["sha256"]
        path.write_text(sealed(_renamed(label)))
    for path in (best / "best.json", folder / "result.json"):
        if path.exists():
            path.write_text(json.dumps(_renamed(json.loads(path.read_text())), indent=2) + "\n")
    if (folder / "result.json").exists():
        of_run = json.loads((folder / "run.json").read_text())
        del of_run["sha256"]
        of_run["result"] = hashlib.sha256((folder / "result.json").read_bytes()).hexdigest()
        (folder / "run.json").write_text(sealed(of_run))


    older_logs(folder)


def older_logs(folder: pathlib.Path) -> None:
    """`metrics.jsonl` and the event files of a run."""
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({name: line[name] for name in ("step", "split")} | _older_tags(line)) + "\n"
                            for line in lines))
    for events in folder.glob("*/events.out.tfevents.*"):
        records = [event_pb2.Event.FromString(data) for data in RawEventFileLoader(str(events)).Load()]
        events.write_bytes(b"".join(framed(record.SerializeToString()) for record in map(_older_record, records)))


def _older_record(event: Any) -> Any:
    """A record with the values that an earlier one had, each as it is but for its tag."""
    values = {value.tag: value for value in event.summary.value}
    if not values or "custom_scalars__config__" in values or "_hparams_" in " ".join(values):
        return event
    older = event_pb2.Event(wall_time=event.wall_time, step=event.step)
    for tag, value in _older_tags(values).items():
        older.summary.value.add().CopyFrom(value)
        older.summary.value[-1].tag = tag
    return older


def _older_tags(values: Mapping[str, Any]) -> dict[str, Any]:
    rest = {tag: value for tag, value in values.items() if "/" in tag and not tag.startswith(
        ("epoch/", "generalization/", "train_batch/", "about/", "weights/")) or tag == "learning_rate"}
    if "train_batch/total" in values:
        return {"loss/total": values["train_batch/total"], "loss/data": values["train_batch/data_loss"],
                "accuracy": values["train_batch/accuracy"], **rest}
    if "epoch/data_loss" not in values:  # Histograms and texts; the latter there were none.
        return rest | {tag.replace("weights/", "evaluation/"): value for tag, value in values.items()
                       if tag.startswith("weights/")}
    told = {"evaluation/loss/data": values["epoch/data_loss"], "evaluation/accuracy": values["generalization/accuracy"]}
    if "generalization/data_loss_gap" not in values:
        return told | rest
    return {"loss/total": values["epoch/total"], "loss/data": values["epoch/data_loss"],
            "accuracy": values["generalization/accuracy"], **rest, **told,
            "gap/data": values["generalization/data_loss_gap"], "gap/accuracy": values["generalization/accuracy_gap"]}


def older_sweep(folder: pathlib.Path) -> None:
    """The folder of a sweep or a path, without its results: plan and finished parts."""
    plan = _renamed(json.loads((folder / "plan.json").read_text()))
    if plan["selection"] == "data_loss":
        plan["selection"] = "data"
    (folder / "plan.json").write_text(json.dumps(plan, indent=2) + "\n")
    for path in (folder / "chunks").glob("*.json"):
        content = _renamed(json.loads(path.read_text()))
        of_part = {**content.pop("part"), "plan": parts.digest_of(plan)}
        del content["digest"]
        path.write_text(json.dumps(parts.sealed(content, of_part)) + "\n")
    for name in ("sweep.json", "sweep.csv", "path.json", "path.csv"):
        (folder / name).unlink(missing_ok=True)


def _renamed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {"data" if name == "data_loss" else name: _renamed(each) for name, each in value.items()}
