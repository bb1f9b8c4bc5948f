"""The arms of a comparison and what is measured of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reglab.config import MOST_SEED, Config, ConfigError
from reglab.config.strengths import Strength, is_zero
from reglab.core import penalties
from reglab.core.penalties.by_name import ByPenalty, by_penalty_name
from reglab.inputs.texts import shown
from reglab.lab.grid import MOST_LANES

if TYPE_CHECKING:
    import numpy as np

    from reglab.lab.lanes import LaneCurves


@by_penalty_name
@dataclasses.dataclass(frozen=True)
class Arm:
    """One choice of penalties, trained from several seeds; `name` is also its folder, `title` is for people."""

    name: str
    title: str
    strengths: ByPenalty[Strength] = ByPenalty(0.0, {})

    def __post_init__(self) -> None:
        object.__setattr__(self, "strengths", ByPenalty(0.0, self.strengths))

    def described(self, config: Config) -> dict[str, Any]:
        """Returns as JSON values: name, title, and the strength of each penalty that is told of `config`."""
        return {"name": self.name, "title": self.title,
                **{name: self.strengths[name] for name in config.strengths.told}}


class Metric(NamedTuple):
    """A number measured of a lane: its title and unit for people, and the number of units in 1."""

    title: str
    unit: str
    scale: float = 1.0


METRICS: Final = {
    "train_accuracy": Metric("training accuracy", "%", 100.0),
    "validation_accuracy": Metric("validation accuracy", "%", 100.0),
    "train_data_loss": Metric("training loss", "nats"),
    "validation_data_loss": Metric("validation loss", "nats"),
    "gap": Metric("gap of the losses", "nats"),
    "sparsity": Metric("sparsity", "%", 100.0),
}
"""By name in `compare.json`, besides the norms. None includes the penalty; sparsity is of all Dense kernels."""


_ZEROS: Final = Metric("exact zeros", "%", 100.0)


def metrics_of(measured: Collection[str]) -> dict[str, Metric]:
    """Returns the metrics that `measure` gave, by name: `METRICS`, with proximal operators the fraction of entries that
    are exactly 0, and each penalty's norm over all Dense kernels."""
    norms = {f"norm_{penalty.name}": Metric(f"norm: {penalty.norm_formula}", "") for penalty in penalties.registered()
             if f"norm_{penalty.name}" in measured}
    return {**METRICS, **({"zeros": _ZEROS} if "zeros" in measured else {}), **norms}


def arms_of(config: Config) -> tuple[Arm, ...]:
    """Makes the arms of a configuration: no penalty, each penalty alone and, if there are several, all together.

    Raises:
      ConfigError: it has no penalty.
    """
    given = {name: strength for name, strength in config.strengths.items() if not is_zero(strength)}
    if not given:
        flags = [f"--{name}" for name in penalties.standing()]
        raise ConfigError(f"{' and '.join(f'{flag}=0' for flag in flags)}: there is nothing to compare; give at least "
                          f"one, for example {' '.join(f'{flag}=1e-3' for flag in flags)}, or --preset=tutorial")
    alone = [Arm(name, f"{penalties.get(name).title} alone", ByPenalty(0.0, {name: strength}))
             for name, strength in given.items()]
    together = Arm("_and_".join(given), _listed([penalties.get(name).title for name in given]), ByPenalty(0.0, given))
    return (Arm("none", "no penalty"), *alone, *([together] if len(given) > 1 else []))


def _listed(titles: Sequence[str]) -> str:
    return " and ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)


def check_seeds(seeds: int, first: int) -> int:
    """Checks and returns the number of seeds.

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
    """Returns each metric of `metrics_of` at each evaluation of each lane: [evaluations, lanes]."""
    from reglab.core.measurement import joined_norms  # Imports TensorFlow, which bad flags do not need.

    return {
        "train_accuracy": curves.train["accuracy"], "validation_accuracy": curves.validation["accuracy"],
        "train_data_loss": curves.train["data_loss"], "validation_data_loss": curves.validation["data_loss"],
        "gap": curves.validation["data_loss"] - curves.train["data_loss"],
        "sparsity": curves.weights["sparsity/total"],
        **({"zeros": curves.weights["zeros/total"]} if "zeros/total" in curves.weights else {}),
        **joined_norms(curves.weights),
    }
