"""How often a run measures a step. No TensorFlow here."""

from __future__ import annotations

from reglab.config import Config


def interval_within(config: Config, steps: int) -> int:
    """Returns the interval between measured steps of a run of `steps` updates: `summary_every`, or longer to keep
    within `max_points`; 0 measures none."""
    if not config.summary_every or config.max_points is None:
        return config.summary_every
    return max(config.summary_every, (steps - 1) // config.max_points + 1)
