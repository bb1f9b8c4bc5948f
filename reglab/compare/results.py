"""Makes the arms of `compare.json` from the numbers of a comparison's lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reglab.compare.arms import METRICS
from reglab.lab.intervals import CONFIDENCE, FRACTION, UNBOUNDED, interval
from reglab.storage.json_values import for_json


def tabulate(arms: Sequence[Mapping[str, Any]], seeds: list[int], epochs: np.ndarray,
             measured: Mapping[str, np.ndarray], ends: np.ndarray | None = None) -> dict[str, Any]:
    """Makes the arms of `compare.json`: intervals over seeds, differences to the first arm paired by seed.

    Lanes that diverged are left out of every mean and difference, and counted; their values are null.

    Args:
      arms: each as `Arm.described`.
      measured: name to [evaluations, lanes], lanes arm by arm.
      ends: [lanes] the evaluation of the state with which each lane ends; by default the last.
    """
    values = {name: numbers.astype(np.float64).reshape(len(epochs), len(arms), len(seeds))
              for name, numbers in measured.items()}
    at_end = np.full([len(arms), len(seeds)], len(epochs) - 1) if ends is None else ends.reshape(len(arms), -1)
    last = {name: np.take_along_axis(numbers, at_end[None], 0)[0] for name, numbers in values.items()}
    alive = np.isfinite(last["train_data_loss"] + last["validation_data_loss"])
    entries = []
    for at, arm in enumerate(arms):
        own, pairs = alive[at], alive[at] & alive[0]
        entries.append({
            **arm, "diverged": int((~own).sum()),
            "final": {name: {**_interval(name, numbers[at, own]),
                             "values": for_json(np.where(own, numbers[at], np.nan))}
                      for name, numbers in last.items()},
            "difference": {name: _interval(name, (numbers[at] - numbers[0])[pairs], is_difference=True)
                           for name, numbers in last.items()} if at else None,
            "curves": {name: _interval(name, numbers[:, at, own]) for name, numbers in values.items()}})
    return {"seeds": seeds, "confidence": CONFIDENCE, "epochs": epochs.tolist(), "arms": entries}


def _interval(name: str, values: np.ndarray, is_difference: bool = False) -> dict[str, Any]:
    """Computes mean and interval over the last axis; null if no value is left. Those of fractions stay in [0, 1]."""
    if not values.shape[-1]:
        nothing = for_json(np.full(values.shape[:-1], np.nan))
        return {"mean": nothing, "low": nothing, "high": nothing}
    is_fraction = name in METRICS and METRICS[name].unit == "%"
    bounds = UNBOUNDED if not is_fraction else (-1.0, 1.0) if is_difference else FRACTION
    with np.errstate(invalid="ignore"):
        mean, low, high = interval(values, bounds)
    return {"mean": for_json(mean), "low": for_json(low), "high": for_json(high)}
