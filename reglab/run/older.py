"""What an earlier reglab left in its files, read as it is written today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_data_loss(figures: Any) -> Any:
    """Figures with the data loss under `data_loss`: an earlier reglab wrote it as `data`.

    Args:
      figures: name to value, read from JSON; anything else is given back as it is.
    """
    if not isinstance(figures, Mapping) or "data_loss" in figures:
        return figures
    return {"data_loss" if name == "data" else name: value for name, value in figures.items()}
