"""`--patience`: when a run, or a lane, has trained long enough.

An evaluation counts as an improvement if its validation data loss, without any penalty, is more than `min_delta` below
that of the last one that counted. After `patience` evaluations in a row without one the run is over (Goodfellow, Bengio
and Courville 2016, algorithm 7.1). It ends with its best state: that of the lowest validation data loss, whether that
counted or not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

from reglab.config import Config
from reglab.storage.reading import is_count

ENDING: Final = "early_stopping"
"""The part of `result.json` that tells how early stopping ended a run."""


@dataclasses.dataclass
class Patience:
    """What one run, or one lane, has been through.

    Attributes:
      patience: after how many evaluations without improvement it is over; None for never.
      min_delta: the fall in data loss, in nats, that an improvement exceeds.
      lowest: the data loss of the last improvement.
      waited: how many evaluations there were since.
    """

    patience: int | None
    min_delta: float = 0.0
    lowest: float = math.inf
    waited: int = 0

    @staticmethod
    def of(config: Config) -> Patience:
        """Returns the patience of a configuration, before the first evaluation."""
        return Patience(config.patience, config.min_delta)

    def note(self, data_loss: float) -> None:
        """Counts an evaluation; a data loss that is not finite is no improvement."""
        if math.isfinite(data_loss) and data_loss < self.lowest - self.min_delta:
            self.lowest, self.waited = data_loss, 0
        else:
            self.waited += 1

    @property
    def is_over(self) -> bool:
        """Whether there were too many evaluations without an improvement."""
        return self.patience is not None and self.waited >= self.patience


def rule(config: Config) -> dict[str, str]:
    """Returns when a run stops early as a line for people, {label: text}; empty if it does not."""
    if config.patience is None:
        return {}
    by = f" by more than {config.min_delta:g} nats" if config.min_delta else ""
    rows = "1 evaluation" if config.patience == 1 else f"{config.patience:,} evaluations in a row"
    return {"Early stopping": f"after {rows} without a validation data loss lower{by} (--patience); ends with the best "
                              "state"}


def trained_steps(result: Mapping[str, Any] | None) -> int:
    """Returns how many updates a complete run took: more than its final state had if it ended with an earlier one.

    Args:
      result: its result; 0 is returned without one, or of a worker that has not read it.
    """
    return 0 if result is None else int(result.get(ENDING, result).get("steps", 0))


def is_of_end(result: Mapping[str, Any], config: Config) -> bool:
    """Returns whether a result is of a run that has ended, either after its last epoch or early."""
    if config.patience is None:
        return ENDING not in result and bool(result["epochs"] == config.epochs)
    ended = result.get(ENDING)
    return (isinstance(ended, dict) and is_count(ended.get("epochs")) and is_count(ended.get("steps"))
            and (ended["epochs"] == config.epochs or ended.get("stopped") is True))
