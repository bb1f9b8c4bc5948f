"""The arms of a comparison and what is measured of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final, NamedTuple

from reglab.config import MOST_SEED, Config, ConfigError
from reglab.grid import MOST_LANES
from reglab.texts import shown

if TYPE_CHECKING:
    import numpy as np

    from reglab.lanes import LaneCurves


@dataclasses.dataclass(frozen=True)
class Arm:
    """One choice of penalties, trained from several seeds; `name` is also its folder, `title` is for people."""

    name: str
    title: str
    l1: float
    l2: float


class Metric(NamedTuple):
    """A number measured of a lane: its title and unit for people, and how many units the number 1 is."""

    title: str
    unit: str
    scale: float = 1.0


METRICS: Final = {
    "train_accuracy": Metric("training accuracy", "%", 100.0),
    "validation_accuracy": Metric("validation accuracy", "%", 100.0),
    "train_data": Metric("training loss", "nats"),
    "validation_data": Metric("validation loss", "nats"),
    "gap": Metric("gap of the losses", "nats"),
    "sparsity": Metric("sparsity", "%", 100.0),
    "norm_l1": Metric("norm: sum |W|", ""),
    "norm_l2": Metric("norm: sqrt(sum W^2)", ""),
}
"""By name in `compare.json`. None includes the penalty; sparsity and norms are of all Dense kernels."""


def arms_of(config: Config) -> tuple[Arm, ...]:
    """The four arms of a configuration, or two where it has one penalty only.

    Raises:
      ConfigError: it has none.
    """
    if config.l1 == config.l2 == 0:
        raise ConfigError("--l1=0 and --l2=0: there is nothing to compare; give at least one, for example "
                          "--l1=1e-3 --l2=1e-3, or --preset=tutorial")
    arms = (Arm("none", "no penalty", 0.0, 0.0), Arm("l1", "L1 alone", config.l1, 0.0),
            Arm("l2", "L2 alone", 0.0, config.l2), Arm("l1_and_l2", "L1 and L2", config.l1, config.l2))
    distinct = {(arm.l1, arm.l2): arm for arm in reversed(arms)}
    return tuple(arm for arm in arms if distinct[arm.l1, arm.l2] is arm)


def check_seeds(seeds: int, first: int) -> int:
    """The number of seeds.

    Raises:
      ConfigError: it is out of range, or the last seed is.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds={shown(seeds)}: give at least 1; intervals need at least 2")
    if seeds > MOST_LANES // 4:
        raise ConfigError(f"--seeds={shown(seeds)}: give at most {MOST_LANES // 4:,}")
    if first + seeds - 1 > MOST_SEED:
        raise ConfigError(f"--seed={first}: with --seeds={seeds} the last seed is more than {MOST_SEED:,}: give a "
                          "smaller one")
    return seeds


def measure(curves: LaneCurves) -> dict[str, np.ndarray]:
    """Each of `METRICS` at each evaluation of each lane: [evaluations, lanes]."""
    import numpy as np  # Only here: all else answers a command line, for which NumPy would take too long.

    norms = {kind: [values for tag, values in curves.weights.items()
                    if tag.startswith("norm/") and tag.endswith(f"/{kind}")] for kind in ("l1", "l2")}
    return {
        "train_accuracy": curves.train["accuracy"], "validation_accuracy": curves.validation["accuracy"],
        "train_data": curves.train["data"], "validation_data": curves.validation["data"],
        "gap": curves.validation["data"] - curves.train["data"],
        "sparsity": curves.weights["sparsity/total"],
        "norm_l1": np.sum(norms["l1"], axis=0), "norm_l2": np.sqrt(np.sum(np.square(norms["l2"]), axis=0)),
    }
