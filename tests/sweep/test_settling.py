"""When an objective has settled."""

from __future__ import annotations

import numpy as np
import pytest

from reglab.sweep.settling import has_settled, is_over


@pytest.mark.parametrize(("course", "expected"), [
    ([1.0, 1.0, 1.0], False),  # Three epochs tell nothing of the fall in three.
    ([1.0, 1.0, 1.0, 1.0], True),
    ([1.0099, 1.0, 1.0, 1.0], True), ([1.02, 1.0, 1.0, 1.0], False),  # 1 %.
    ([0.0109, 0.0105, 0.0102, 0.01], True), ([0.0111, 0.0105, 0.0102, 0.01], False),  # 0.001 nats.
    ([2.0, 1.0, 1.5, 1.3, 1.2], True),  # Up and down, but never below.
    ([2.0, 1.0, 1.5, 1.3, 0.9], False),
    ([1.0, 1.0, 1.0, np.nan], False), ([np.inf] * 4, False)])
def test_a_total_has_settled_that_falls_no_more(course: list[float], expected: bool) -> None:
    assert has_settled(np.array(course)[:, None]).tolist() == [expected]


def test_a_point_is_over_when_every_lane_has_settled_or_diverged() -> None:
    settled, falling, diverged = [1.0] * 4, [4.0, 3.0, 2.0, 1.0], [1.0, 1.0, 1.0, np.nan]
    assert is_over(np.array([settled, diverged]).T)
    assert not is_over(np.array([settled, falling]).T)
    assert not is_over(np.array([settled, diverged])[:, :3].T)
