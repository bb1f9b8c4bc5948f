"""Decides when an objective has settled, for which a path waits at each strength before it goes on to the next."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

EPOCHS: Final = 3
RELATIVE: Final = 0.01
ABSOLUTE: Final = 1e-3
"""In nats. Less matters to no comparison, and if a network memorizes its data, a part of the total never settles."""
RULE: Final[dict[str, Any]] = {"epochs": EPOCHS, "relative": RELATIVE, "absolute": ABSOLUTE}


def has_settled(totals: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Returns [lanes] whether the total over the training split has settled, given its course [epochs, lanes].

    With m(e) the lowest total of the first e epochs: m(e − 3) − m(e) ≤ max(0.01 · m(e), 0.001 nats). The lowest is used
    because steps on batches make the total go up and down. A lane whose total is not finite has not settled.
    """
    if len(totals) <= EPOCHS:
        return np.zeros(totals.shape[1:], bool)
    with np.errstate(invalid="ignore"):
        lowest = np.minimum.accumulate(totals)
        fall = lowest[-1 - EPOCHS] - lowest[-1]
        settled: npt.NDArray[np.bool_] = fall <= np.maximum(RELATIVE * lowest[-1], ABSOLUTE)
    return settled & np.isfinite(totals[-1])


def is_over(totals: npt.NDArray[Any]) -> bool:
    """Returns whether every lane has settled or diverged, so that further epochs at this strength are of no use."""
    return bool((has_settled(totals) | ~np.isfinite(totals[-1])).all())
