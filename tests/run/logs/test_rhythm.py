"""Of which steps and epochs a run writes something."""

from __future__ import annotations

import pytest

from reglab.config import Config
from reglab.run.logs.rhythm import written_epochs


@pytest.mark.parametrize("most", [1, 2, 3, 7, 1000, None])
@pytest.mark.parametrize(("epochs", "every"), [(1, 1), (12, 1), (13, 1), (13, 5), (1000, 3)])
def test_no_more_evaluations_are_written_than_points_are_wanted_and_the_last_always_is(epochs: int, every: int,
                                                                                      most: int | None) -> None:
    evaluated = [epoch for epoch in range(1, epochs + 1) if epoch % every == 0 or epoch == epochs]
    is_written = written_epochs(Config(epochs=epochs, evaluate_every=every, max_points=most))
    written = [epoch for epoch in evaluated if is_written(epoch)]
    assert written[-1] == epochs
    if most is None or most >= len(evaluated):
        assert written == evaluated
    else:
        assert 0 < len(written) <= most
