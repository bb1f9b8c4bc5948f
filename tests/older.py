"""Folders put back into the form in which an earlier reglab left them: it called the data loss `data`."""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

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
