"""`--dry_run`: what a run would do, found out without writing or compiling anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reglab.cluster import Cluster
from reglab.config import Config
from reglab.config.memory import memory_of
from reglab.core.models import Model
from reglab.data import Dataset
from reglab.engine.assembly import check_fit, make_program, source_of, summary_interval, total_steps
from reglab.engine.placement import place_run
from reglab.engine.replicas import Replicas
from reglab.engine.sources.arrays import EVALUATION_BATCH
from reglab.run.checkpoints.files import saved_steps
from reglab.run.logs.rhythm import is_evaluated
from reglab.run.report import compiled, describe_run, penalties_by_layer
from reglab.run.run_directory import RunDirectory
from reglab.storage.json_values import for_json


def plan_run(config: Config, data: Dataset, cluster: Cluster | None) -> tuple[dict[str, str], dict[str, Any]]:
    """Returns what `fit` would do, for people as labels and texts, and as JSON values.

    Other workers of a cluster are not contacted.

    Raises:
      ConfigError: `fit` would refuse.
    """
    source = source_of(config, data)
    if config.model_dir is not None:
        RunDirectory(config).bind(source.about.facts)
    check_fit(config, source.about)
    replicas = Replicas() if cluster is not None else place_run(config, None)
    program = make_program(config, source, replicas)
    model, steps = program.step.model, total_steps(config, data)
    begins = _begins(config)
    evaluated = [epoch for epoch in range(1, config.epochs + 1) if is_evaluated(config, epoch)]
    interval = summary_interval(config, data)
    told = {
        "command": "train", **plan_of(config, data, model, steps), "begins_at_step": begins,
        "penalized": penalties_by_layer(config, program.step),
        "evaluations": len(evaluated), "measured_steps": -(-steps // interval) if interval else 0,
        "replicas": None if cluster is not None else replicas.count, "workers": 1 if cluster is None else cluster.size,
        "devices": list(replicas.devices), "compiled": compiled(replicas) if config.jit else None,
    }
    facts = describe_run(config, program, source.about)
    if cluster is not None:
        of_cluster = f"multi_worker: {cluster.size} workers, which a dry run does not contact"
        facts |= {"Strategy": of_cluster, "XLA": facts["XLA"] and "depends on the devices of the workers"}
    goes_on = f"goes on after step {begins:,}" if begins else "begins at step 0"
    return {**facts, "Steps": f"{steps:,}, {goes_on}; {told['measured_steps']:,} measured, both splits evaluated "
                              f"{len(evaluated):,} times",
            "Memory": in_words(told["memory"])}, for_json(told)


def plan_of(config: Config, data: Dataset, model: Model, steps: int, lanes: int = 1) -> dict[str, Any]:
    """Returns what all plans tell: settings, splits, steps, the size of the network, and the memory that it takes.

    Args:
      steps: the number of updates of a run or lane.
      lanes: the number of lanes that train together.
    """
    splits = [data.train, data.validation]
    return {
        "dry_run": True, "config": config.to_dict(), "dataset": data.description, "sizes": dict(data.sizes),
        "model": model.describe(), "parameters": model.size, "epochs": config.epochs,
        "steps": steps, "steps_per_epoch": steps // config.epochs,
        "memory": {**memory_of(config, model, lanes, max(EVALUATION_BATCH, config.batch_size)),
                   "data": sum(split.x.nbytes + split.y.nbytes for split in splits)},
        "writes_to": config.model_dir,
    }


def in_words(memory: Mapping[str, int]) -> str:
    """Returns the bytes of each part of a plan's memory for people."""
    return (f"about {_size(sum(memory.values()))}: " + ", ".join(f"{name} {_size(count)}"
                                                              for name, count in memory.items()))


def _begins(config: Config) -> int:
    """Returns the step after which the run in the folder goes on; 0 for one that begins."""
    if config.model_dir is None or config.resume == "restart":
        return 0
    return max(saved_steps(RunDirectory(config).checkpoints), default=0)


def _size(count: int) -> str:
    return next(f"{count / size:.3g} {unit}" for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("bytes", 1))
                if count >= size or size == 1)
