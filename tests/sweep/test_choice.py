"""The best and the one-standard-error point, on made numbers."""

from __future__ import annotations

from typing import Any

import pytest

from reglab.sweep.choice import choose


def point(l1: float, l2: float, mean: float | None, se: float | None = 0.1, *, norm: float = 1.0, diverged: int = 0,
          learning_rate: float = 1e-3, penalize: str = "all", accuracy: float = 0.5) -> dict[str, Any]:
    return {"l1": l1, "l2": l2, "learning_rate": learning_rate, "penalize": penalize, "diverged": diverged,
            "norm_l1": {"mean": norm, "se": None},
            "validation": {"data_loss": {"mean": mean, "se": se}, "accuracy": {"mean": accuracy, "se": se}}}


@pytest.mark.parametrize(("points", "chosen"), [
    ([point(0, 0, 1.0), point(1, 0, 0.5), point(2, 0, 0.59), point(3, 0, 0.61)], (1, 2)),
    ([point(0, 0, 0.5), point(1, 0, 0.7)], (0, 0)),
    ([point(0, 0, 0.5, None), point(1, 0, 0.5, None)], (1, None)),  # One seed; a tie goes to the stronger.
    ([point(0, 0, 0.5), point(1, 0, 0.1, diverged=1)], (0, 0)),
    ([point(0, 0, None, None, diverged=2)], (None, None)),
    # On one line the largest λ, whatever the norms; the standard error is the best point's own.
    ([point(0, 0, 0.5, 0.1, norm=1), point(1, 0, 0.55, 9.0, norm=7), point(2, 0, 0.61, 9.0)], (0, 1)),
    # In the plane: (0, 0) and (1, 0) are exceeded by (1, 1); of (1, 1) and (0, 2) the smaller norm.
    ([point(0, 0, 0.5), point(1, 0, 0.5, norm=0.1), point(1, 1, 0.5, norm=5), point(0, 2, 0.55, norm=4)], (2, 3)),
    # Other learning rates and layers are no strengths.
    ([point(0, 0, 0.5), point(5, 0, 0.5001, learning_rate=1), point(6, 0, 0.5001, penalize="hidden")], (0, 0))])
def test_choice_by_data_loss(points: list[dict[str, Any]], chosen: tuple[int | None, int | None]) -> None:
    assert choose(points, "data_loss") == chosen


def test_choice_by_accuracy_takes_the_highest() -> None:
    points = [point(0, 0, 0.1, accuracy=0.8), point(1, 0, 0.2, accuracy=0.9), point(2, 0, 0.3, accuracy=0.85),
              point(3, 0, 0.3, accuracy=0.75)]
    assert choose(points, "accuracy") == (1, 2)
