"""The instructions for a worker, as JSON. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import json

from reglab.config import Config
from reglab.config.strengths import Strength, weakened
from reglab.core.penalties.by_name import ByPenalty


@dataclasses.dataclass(frozen=True)
class Task:
    """One section of the benchmark.

    Attributes:
      section: a name that `worker` knows.
      config: the run to measure.
      seconds: the length of one timed stretch.
      repeats: the number of rounds.
      started: `time.monotonic()`, a clock shared by all processes of a machine, just before the worker was started.
      import_seconds: the time that the worker took to import TensorFlow.
      counts: the numbers of lanes.
      devices: the number of devices to use.
    """

    section: str
    config: Config
    seconds: float
    repeats: int
    started: float = 0.0
    import_seconds: float = 0.0
    counts: tuple[int, ...] = ()
    devices: int = 1

    def to_json(self) -> str:
        """Returns the task as one line, from which `from_json` makes an equal task."""
        return json.dumps({**dataclasses.asdict(self), "config": self.config.to_dict()})

    @staticmethod
    def from_json(text: str) -> Task:
        """Rebuilds a task from JSON."""
        fields = json.loads(text)
        return Task(**{**fields, "config": Config.from_dict(fields["config"]), "counts": tuple(fields["counts"])})


def lane_configs(config: Config, count: int) -> list[Config]:
    """Returns configurations for lanes: lane 0 is `config`, others have weaker penalties and other initial weights."""
    def weaker(k: int) -> ByPenalty[Strength]:
        return ByPenalty(0.0, {name: weakened(strength, 1 + k) for name, strength in config.strengths.items()})

    return [dataclasses.replace(config, strengths=weaker(k), seed=config.seed + k) for k in range(count)]
