"""The findings of a path about its warm starts, besides those of the sweep of its cold starts, as text and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from reglab.console.format import number
from reglab.lab.differences import LEVEL, Differences, holm, paired
from reglab.lab.intervals import CONFIDENCE, interval
from reglab.lab.seeds import over


def warm_findings(result: Mapping[str, Any], warm: npt.NDArray[Any], cold: npt.NDArray[Any], saved: npt.NDArray[Any]
                  ) -> dict[str, Any]:
    """Compares the objective of warm starts with that of cold ones after the same number of steps, paired by seed.

    "sentences" are for people. "differences" has warm − cold for each point after the first, which itself starts cold:
    {"mean", "low", "high", "p", "corrected"}, p by Student's paired test and corrected by Holm's method; null if a lane
    diverged or there is only one seed.

    Args:
      result: the contents of `path.json`.
      warm, cold: [points, seeds] totals over the training split.
      saved: [seeds] how many fewer steps warm starts took than cold ones to the same total, after the first point.
    """
    whole = [at for at in range(1, len(warm)) if np.isfinite(warm[at] + cold[at]).all()]
    entries: list[dict[str, Any] | None] = [None] * (len(warm) - 1)
    sentences = [_work(result), *_unsettled(result)]
    if whole:
        differences = paired(warm[whole], cold[whole])
        corrected = holm(differences.p)
        for i, at in enumerate(whole):
            entries[at - 1] = {**{name: _known(getattr(differences, name)[i]) for name in ("mean", "low", "high", "p")},
                               "corrected": _known(corrected[i])}
        sentences.append(_compared(result, warm, cold, whole, differences, corrected))
    if np.isfinite(saved).all():
        sentences.append(_saved(saved))
    return {"sentences": sentences, "differences": entries}


def _work(result: Mapping[str, Any]) -> str:
    return (f"Choice and differences are from cold starts of {result['points'][-1]['total_steps']:,} steps each, as "
            "many as the warm starts took at all strengths together.")


def _unsettled(result: Mapping[str, Any]) -> Iterator[str]:
    left = sum(point["settled"] + point["warm_diverged"] < result["seeds"] for point in result["points"])
    if left:
        yield (f"At {left} of {len(result['points'])} strengths the objective had not settled after "
               f"{result['epochs']['most']} epochs, the most that --epochs allows.")


def _compared(result: Mapping[str, Any], warm: npt.NDArray[Any], cold: npt.NDArray[Any], whole: Sequence[int],
              differences: Differences, corrected: npt.NDArray[Any]) -> str:
    lost = differences.mean > 0
    strengths = f"{len(whole)} strengths after the first" if len(whole) > 1 else "the one strength after the first"
    if not lost.any():
        return (f"After the same number of steps warm starts have a lower objective than cold ones at "
                f"{'all ' if len(whole) > 1 else ''}{strengths}, by {-differences.mean.max():.2g} to "
                f"{-differences.mean.min():.2g} nats.")
    worst = int(np.argmax(differences.mean))
    at, along = whole[worst], result["along"]
    counted = f"{int(lost.sum())} of {strengths}" if len(whole) > 1 else strengths
    if result["seeds"] > 1:
        shown = int((lost & (corrected < LEVEL)).sum())
        counted += f" ({shown} of them shown at 5 % with Holm's correction)" if len(whole) > 1 else ""
        low, high = differences.low[worst], differences.high[worst]
        sure = (f" ({100 * CONFIDENCE:.0f} % interval {low:.2g} to {high:.2g}, paired over "
                f"{over('weights', result['seeds'])})")
    else:
        sure = "; one seed gives no interval, so this may be chance"
    return (f"After the same number of steps cold starts have a lower objective than warm ones at {counted}, most at "
            f"{along} = {result['points'][at][along]:.4g}: {number(cold[at].mean())} nats, "
            f"{differences.mean[worst]:.2g} lower than the {number(warm[at].mean())} of warm starts{sure}.")


def _saved(steps: npt.NDArray[Any]) -> str:
    mean, low, high = interval(steps)
    sign = -1 if mean < 0 else 1
    low, high = sorted((sign * low, sign * high))
    sure = f" ({100 * CONFIDENCE:.0f} % interval {low:,.0f} to {high:,.0f})" if len(steps) > 1 else ""
    return (f"After the first strength, warm starts took {abs(mean):,.0f} steps {'more' if sign < 0 else 'fewer'} than "
            f"cold starts to the same objective{sure}.")


def _known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
