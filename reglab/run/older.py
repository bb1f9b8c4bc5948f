"""What an earlier reglab left in its files, read as it is written today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_data_loss(scores: Any) -> Any:
    """Scores with the data loss under `data_loss`: an earlier reglab wrote it as `data`.

    Args:
      scores: name to value, read from JSON; anything else is given back as it is.
    """
    if not isinstance(scores, Mapping) or "data_loss" in scores:
        return scores
    return {"data_loss" if name == "data" else name: value for name, value in scores.items()}
