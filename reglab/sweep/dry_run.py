"""`--dry_run` of a sweep or path: what it would do, found out without writing or compiling anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reglab.config import Config
from reglab.data import Dataset
from reglab.engine.assembly import check_fit, make_step, make_terms, total_steps
from reglab.engine.placement import place_lanes
from reglab.lab.grid import Grid
from reglab.lab.seeds import counted
from reglab.run.found_run import check_writable
from reglab.run.plan import in_words, plan_of
from reglab.storage.json_values import for_json
from reglab.sweep.capacity import choose_lanes_per_call
from reglab.sweep.files import SweepFolder
from reglab.sweep.folds import fold_dataset
from reglab.sweep.plan import Plan, shared_config
from reglab.sweep.progress import describe
from reglab.sweep.settling import RULE


def plan_sweep(config: Config, grid: Grid, values: Mapping[str, Any], dataset: Dataset, folder: SweepFolder,
               kind: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Returns what `sweep` or `path` would do, for people as labels and texts, and as JSON values.

    Args:
      values: the command's own flags.
      kind: "sweep" or "path". How long a path stays at a point shows only when it is walked.

    Raises:
      ConfigError: it would refuse.
    """
    shared = shared_config(config, grid.checked(config))
    together = values["lanes_per_call"] or (folder.plan or {}).get("lanes_per_call") or choose_lanes_per_call(
        grid.size * (1 if values["vary"] == "order" else values["seeds"]), shared, dataset)
    plan = Plan(shared, grid, values["seeds"], values["folds"], values["select"], together, values["vary"])
    check_writable(folder.path)
    settled = {"settled": RULE} if kind == "path" else {}
    folder.check({**plan.to_dict(), **settled}, dataset.digest, has_test=dataset.test is not None)
    return _told(plan, dataset, folder, kind)


def _told(plan: Plan, dataset: Dataset, folder: SweepFolder, kind: str) -> tuple[dict[str, str], dict[str, Any]]:
    config = plan.shared
    data = dataset if plan.folds is None else fold_dataset(dataset, plan.folds, 0, seed=config.resolved_data_seed)
    check_fit(config, data)
    model, steps = make_step(config, data).model, total_steps(config, data)
    lanes = len(plan.lanes) * len(plan.fold_numbers)
    terms = make_terms(model, plan.grid.penalize, plan.grid.strengths)
    finished = len([*(folder.path / "chunks").glob("chunk-*.json")])
    already = f" ({finished:,} finished already)" if finished else ""
    told = {"command": kind, **plan_of(config, data, model, steps, plan.lanes_per_call), "writes_to": str(folder.path),
            **plan.to_dict(), "points": [plan.grid.described(point) for point in plan.grid.points], "lanes": lanes,
            "lanes_together": plan.lanes_per_call, "calls": len(plan.chunks),
            "calls_finished": finished, "lane_steps": lanes * steps,
            "penalized": {term.name: list(term.layers) for term in terms},
            "devices": list(place_lanes(config).devices)}
    most = "" if config.patience is None else "at most "
    in_calls = f"{most}{steps:,} of each lane, in {counted(len(plan.chunks), 'call')}{already}; then the winners alone"
    along = (f"at most {steps:,} of each lane along the path, then as many as that took of each from the start; then "
             "the winners alone")
    return {**describe(plan, dataset, str(folder.path)), "Steps": in_calls if kind == "sweep" else along,
            "Compiles": "one program for all lanes, and one for the winners" if config.jit else "nothing (--jit=false)",
            "Memory": in_words(told["memory"])}, for_json(told)
