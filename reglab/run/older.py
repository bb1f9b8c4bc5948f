"""Turns what an earlier reglab wrote into the form that is written today."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from reglab.config import Config


def with_data_loss(scores: Any) -> Any:
    """Returns scores with the data loss under `data_loss`, which an earlier reglab called `data`.

    Args:
      scores: maps names to values, as read from JSON; anything else is returned as it is.
    """
    if not isinstance(scores, Mapping) or "data_loss" in scores:
        return scores
    return {"data_loss" if name == "data" else name: value for name, value in scores.items()}


def has_two_splits(facts: Mapping[str, Any] | None) -> bool:
    """Returns whether the facts of a run's data were written by an earlier reglab, which validated on the test part if
    there was one, whatever `validation_split` said."""
    return facts is not None and "sizes" not in facts


def with_split_of_today(config: Config, facts: Mapping[str, Any] | None) -> Config:
    """Returns the configuration of a run, with the `validation_split` that gives its data today.

    The public sets and the digits have a test part; for an .npz file only the digest of the data can tell.
    """
    if not has_two_splits(facts) or config.dataset.endswith(".npz"):
        return config
    return dataclasses.replace(config, validation_split=0.0)
