"""`--dry_run` of a comparison: what it would do, found out without writing or compiling anything."""

from __future__ import annotations

from typing import Any

from reglab.compare.arms import arms_of
from reglab.compare.experiment import describe, lanes_of
from reglab.compare.files import check_free
from reglab.config import Config
from reglab.data import Dataset
from reglab.engine.assembly import check_fit, make_step, total_steps
from reglab.engine.placement import place_lanes
from reglab.run.found_run import check_writable, usable_path
from reglab.run.plan import in_words, plan_of
from reglab.run.report import penalties_by_layer
from reglab.storage.json_values import for_json


def plan_comparison(config: Config, seeds: int, vary: str, dataset: Dataset) -> tuple[dict[str, str], dict[str, Any]]:
    """Returns what `compare` would do, for people as labels and texts, and as JSON values.

    Raises:
      ConfigError: `compare` would refuse.
    """
    check_fit(config, dataset)
    if config.model_dir is not None:
        folder = usable_path(config.model_dir)
        check_writable(folder)
        check_free(folder)
    arms, placement, steps = arms_of(config), place_lanes(config), total_steps(config, dataset)
    step = make_step(config, dataset)
    lanes = len(lanes_of(arms, config, seeds))
    together = lanes if vary == "weights" else len(arms)
    told = {"command": "compare", **plan_of(config, dataset, step.model, steps, together),
            "arms": [arm.described(config) for arm in arms], "seeds": seeds, "vary": vary, "lanes": lanes,
            "lanes_together": together, "lane_steps": lanes * steps, "penalized": penalties_by_layer(config, step),
            "devices": list(placement.devices)}
    facts = describe(config, dataset, arms, seeds, vary, placement)
    return {**facts, "Steps": f"{steps:,} of each of {lanes:,} lanes, {together:,} lanes together",
            "Compiles": "one program for all lanes" if config.jit else "nothing (--jit=false)",
            "Memory": in_words(told["memory"])}, for_json(told)
