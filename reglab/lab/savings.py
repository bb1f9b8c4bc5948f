"""What early stopping saved a set of lanes: lane-steps, one for each step of each lane."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from reglab.config import Config


def savings(config: Config, trained: npt.NDArray[Any], steps_per_epoch: int) -> dict[str, Any]:
    """Returns as JSON values what early stopping saved, and by which rule.

    Args:
      trained: [lanes] the epochs for which each lane was trained.
    """
    every, taken = config.epochs * steps_per_epoch * trained.size, int(trained.sum()) * steps_per_epoch
    return {"patience": config.patience, "min_delta": config.min_delta, "lanes": trained.size,
            "stopped": int((trained < config.epochs).sum()), "lane_steps": taken, "lane_steps_of_all_epochs": every,
            "saved": 1 - taken / every}


def sentence(saved: dict[str, Any], place_steps: int | None = None) -> str:
    """Returns a line for people.

    Args:
      place_steps: the steps taken at all places, whether a lane was there or not, if that is known.
    """
    waited = "" if not place_steps else f"; {place_steps:,} with those at places where no lane was left to train"
    return (f"Early stopping saved {100 * saved['saved']:.0f} % of the lane-steps: {saved['lane_steps']:,} of "
            f"{saved['lane_steps_of_all_epochs']:,} were taken{waited}. It ended {saved['stopped']:,} of "
            f"{saved['lanes']:,} lanes before their last epoch.")
