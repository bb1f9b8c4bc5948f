"""Sets of lanes put together, and the seeds they are of."""

from __future__ import annotations

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.lab.lane_blowups import Blowup
from reglab.lab.lane_sets import interleaved
from reglab.lab.lanes import LaneCurves
from reglab.lab.seeds import check_vary, listed, order_seed, over


def one_set(first: float, blowups: tuple[Blowup, ...] = ()) -> LaneCurves:
    """Two evaluations of three lanes, whose numbers tell set and lane."""
    numbers = np.array([[first, first + 1, first + 2]] * 2)
    split = {"data_loss": numbers, "accuracy": numbers}
    return LaneCurves(np.array([1, 2]), split, split, {"norm": numbers},
                      {"logits": {"kernel": numbers[0][:, None] * np.ones((3, 4))}}, blowups, {}, 4)


def test_lanes_stand_lane_by_lane_over_their_sets() -> None:
    joined = interleaved([one_set(0, (Blowup(2, 7, 1),)), one_set(10, (Blowup(0, 5, 0),))])
    order = [0, 10, 1, 11, 2, 12]
    for part in (joined.train["data_loss"], joined.validation["accuracy"], joined.weights["norm"]):
        assert part.tolist() == [order, order]
    assert joined.parameters["logits"]["kernel"][:, 0].tolist() == order
    assert joined.blowups == (Blowup(1, 5, 0), Blowup(4, 7, 1))
    assert joined.kernel_entries == 4


def test_the_first_seed_has_the_order_of_the_data_seed_whatever_varies() -> None:
    for config in (Config(seed=3), Config(seed=3, data_seed=40)):
        assert [order_seed("weights", config, seed) for seed in (3, 4)] == [config.resolved_data_seed] * 2
        assert [order_seed("order", config, seed) - config.resolved_data_seed for seed in (3, 4)] == [0, 1]
    with pytest.raises(ConfigError, match="--data_seed=9223372036854775807: with --seeds=2 and --vary=order"):
        check_vary("order", Config(data_seed=2**63 - 1), 2)


def test_words() -> None:
    assert [over("weights", 1), over("weights", 3), over("order", 3), over("order", 3, 5)] == [
        "1 seed on one split", "3 seeds on one split", "3 seeds and orders on one split", "5 folds"]
    assert [listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b and c"])] == ["a", "a, b and c", "a, and b and c"]
