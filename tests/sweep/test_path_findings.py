"""What is said of a path's warm starts, on made numbers that SciPy and NumPy recompute."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from reglab.sweep.path_findings import warm_findings

COLD = np.array([[0.50, 0.52, 0.48], [0.61, 0.60, 0.62], [0.80, 0.81, 0.79]])


def found(warm: Any, cold: Any = COLD, saved: Sequence[float] = (900, 700, 800), settled: Sequence[int] = (3, 3, 3)
          ) -> dict[str, Any]:
    warm, cold = np.array(warm), np.array(cold)
    result = {"along": "l1", "seeds": warm.shape[1], "epochs": {"most": 10, "total": 30},
              "points": [{"l1": l1, "total_steps": total, "settled": count, "warm_diverged": 0}
                         for l1, total, count in zip((0.0, 1e-3, 1e-2), (400, 900, 1350), settled, strict=True)]}
    return warm_findings(result, warm, cold, np.array(saved))


def test_where_cold_starts_are_lower_that_is_said_with_its_numbers() -> None:
    warm = COLD + [[0, 0, 0], [-0.01, -0.02, -0.01], [0.02, 0.03, 0.025]]
    findings = found(warm)
    losing = stats.ttest_rel(warm[2], COLD[2])
    low, high = losing.confidence_interval(0.95)
    gaining = stats.ttest_rel(warm[1], COLD[1])
    shown = int(2 * losing.pvalue < 0.05) if losing.pvalue < gaining.pvalue else int(losing.pvalue < 0.05)
    assert findings["sentences"] == [
        "Choice and differences are from cold starts of 1,350 steps each, as many as the warm starts took at all "
        "strengths together.",
        "After the same number of steps cold starts have a lower objective than warm ones at 1 of 2 strengths after "
        f"the first ({shown} of them shown at 5 % with Holm's correction), most at l1 = 0.01: {COLD[2].mean():.4f} "
        f"nats, {(warm[2] - COLD[2]).mean():.2g} lower than the {warm[2].mean():.4f} of warm starts (95 % interval "
        f"{low:.2g} to {high:.2g}, paired over 3 seeds on one split).",
        "After the first strength, warm starts took 800 steps fewer than cold starts to the same objective (95 % "
        "interval {:.0f} to {:,.0f}).".format(*stats.t.interval(0.95, 2, loc=800, scale=stats.sem([900, 700, 800])))]
    assert findings["differences"][1]["mean"] == pytest.approx((warm[2] - COLD[2]).mean())
    assert findings["differences"][1]["p"] == pytest.approx(losing.pvalue)
    p = sorted([losing.pvalue, gaining.pvalue])
    assert findings["differences"][1]["corrected"] == pytest.approx(
        2 * p[0] if losing.pvalue == p[0] else max(2 * p[0], p[1]))


def test_where_warm_starts_are_lower_everywhere_that_is_said() -> None:
    findings = found(COLD - [[0.0], [0.01], [0.03]], saved=(-5, -5, -5), settled=(1, 3, 3))
    assert findings["sentences"][1:] == [
        "At 1 of 3 strengths the objective had not settled after 10 epochs, the most that --epochs allows.",
        "After the same number of steps warm starts have a lower objective than cold ones at all 2 strengths after the "
        "first, by 0.01 to 0.03 nats.",
        "After the first strength, warm starts took 5 steps more than cold starts to the same objective (95 % interval "
        "5 to 5)."]


def test_one_seed_has_no_interval_and_the_first_point_is_not_compared() -> None:
    findings = found(COLD[:, :1] + [[1.0], [0.02], [0.01]], COLD[:, :1], saved=[7], settled=(1, 1, 1))
    text = findings["sentences"][1]
    assert "at 2 of 2 strengths after the first, most at l1 = 0.001" in text
    assert text.endswith(
        "0.02 lower than the 0.6300 of warm starts; one seed gives no interval, so this may be chance.")
    assert findings["differences"][0] == {"mean": pytest.approx(0.02), "low": None, "high": None, "p": None,
                                          "corrected": None}


def test_what_diverged_is_not_compared() -> None:
    warm = COLD + [[0.0], [np.nan], [0.01]]
    findings = found(warm, saved=[np.nan] * 3)
    assert findings["differences"][0] is None and findings["differences"][1]["mean"] == pytest.approx(0.01)
    assert "at the one strength after the first, most at l1 = 0.01" in findings["sentences"][1]
    assert not re.search(r"nan|inf", " ".join(findings["sentences"]))
    assert len(found(COLD * np.nan, saved=[np.nan] * 3)["sentences"]) == 1
