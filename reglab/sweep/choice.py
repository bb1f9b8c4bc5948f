"""The choice among the points of a sweep, by the validation split and without any penalty.

Two points are chosen. The best point has the best mean. The one-standard-error point has the strongest penalty whose
mean is still within one standard error, the best point's own, of that mean: the difference is then within the noise of
the choice, and the simpler model is preferred (Breiman, Friedman, Olshen and Stone 1984, section
3.4.3; Hastie, Tibshirani and Friedman 2009, section 7.10; `lambda.1se` of glmnet).

"Strongest" needs a definition if the strengths of several penalties vary, since most points then cannot be compared.
Among the points within one standard error that share learning rate and penalized layers with the best, those that are
exceeded by another one (every λ at least as large, one of them larger) drop out: along a single λ exactly the largest
is left. If several are left, the one with the smallest mean norm of the first penalty, Σ|W|, is taken: strengths that
cannot be compared are judged by their effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reglab.core import penalties

PointDict = Mapping[str, Any]
"""A point of `sweep.json`."""


def choose(points: Sequence[PointDict], selection: str) -> tuple[int | None, int | None]:
    """Returns the places of the best and of the one-standard-error point.

    A point with a diverged lane is never chosen. If no other point is left, both are None; the second is also None if
    there is no standard error because there is only one seed, or one fold.
    """
    sign = 1 if selection == "data_loss" else -1
    scores = {at: sign * point["validation"][selection]["mean"] for at, point in enumerate(points)
              if point["diverged"] == 0}
    if not scores:
        return None, None
    best = min(scores, key=lambda at: (scores[at], _negative_strength(points[at])))
    error = points[best]["validation"][selection]["se"]
    if error is None:
        return best, None
    near = [at for at, score in scores.items() if score <= scores[best] + error
            and all(points[at][name] == points[best][name] for name in ("learning_rate", "penalize"))]
    strongest = [at for at in near if not any(_exceeds(points[other], points[at]) for other in near)]
    norm = f"norm_{penalties.names()[0]}"
    return best, min(strongest, key=lambda at: points[at][norm]["mean"])


def _exceeds(one: PointDict, other: PointDict) -> bool:
    mine, theirs = _strengths(one), _strengths(other)
    return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))


def _negative_strength(point: PointDict) -> list[float]:
    """Returns a sort key that puts the stronger penalty first if scores are equal."""
    return [-strength for strength in _strengths(point)]


def _strengths(point: PointDict) -> list[float]:
    """Returns the strengths of a point, except those given layer by layer, which are the same in all points."""
    return [point[name] for name in penalties.names() if not isinstance(point.get(name, ""), str)]
