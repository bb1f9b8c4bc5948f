"""The findings of a comparison, from the contents of its `compare.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reglab.lab.contest import Option, Replicates
from reglab.lab.findings import find
from reglab.lab.seeds import counted, over


def findings_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `lab.findings.find` finds about the arms, choosing the lowest validation data loss, paired by seed.

    An arm with a lane that diverged is not compared, since the seeds that survived would flatter it.
    """
    arms, seeds = result["arms"], len(result["seeds"])
    whole = [arm for arm in arms if not arm["diverged"]]
    options = [Option("" if arm is arms[0] else arm["title"], arm is arms[0],
                      *(np.array(arm["final"][f"validation_{name}"]["values"]) for name in ("data_loss", "accuracy")))
               for arm in whole]
    best = best_of(whole)
    remarks = [f"{arm['title']} diverged in {arm['diverged']} of {counted(seeds, 'seed')} and is not compared"
               for arm in arms if arm["diverged"]]
    return find(options, best, Replicates(over(result["vary"], seeds)), remarks=remarks)


def best_of(arms: Sequence[Mapping[str, Any]]) -> int | None:
    """Returns the place of the arm with the lowest mean validation data loss, no lane of which diverged, or None."""
    means = {at: np.mean(arm["final"]["validation_data_loss"]["values"]) for at, arm in enumerate(arms)
             if not arm["diverged"]}
    return min(means, key=means.__getitem__, default=None)
