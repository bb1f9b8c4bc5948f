"""What an earlier reglab left in its files, read as it is written today."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from reglab.config import Config


def with_data_loss(scores: Any) -> Any:
    """Scores with the data loss under `data_loss`: an earlier reglab wrote it as `data`.

    Args:
      scores: name to value, read from JSON; anything else is given back as it is.
    """
    if not isinstance(scores, Mapping) or "data_loss" in scores:
        return scores
    return {"data_loss" if name == "data" else name: value for name, value in scores.items()}


def has_two_splits(facts: Mapping[str, Any] | None) -> bool:
    """Whether the facts of a run's data are of an earlier reglab, which took the test part for validation where there
    was one, whatever `validation_split` said."""
    return facts is not None and "sizes" not in facts


def with_split_of_today(config: Config, facts: Mapping[str, Any] | None) -> Config:
    """The configuration of a run, with the `validation_split` that gives its data today.

    The public sets and the digits have a test part; of an .npz file the digest of the data has to tell.
    """
    if not has_two_splits(facts) or config.dataset.endswith(".npz"):
        return config
    return dataclasses.replace(config, validation_split=0.0)
