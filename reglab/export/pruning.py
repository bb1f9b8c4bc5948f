"""`--prune`: exports a network without the units that no logit needs, and says what that saves."""

from __future__ import annotations

import dataclasses
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from reglab.config import ConfigError
from reglab.data.standardization import Standardization
from reglab.trained.network import Network

TOLERANCE: Final = {"float64": 1e-12, "float32": 1e-5}
"""The largest difference of the logits, relative to the largest logit, that rounding explains: sums are of fewer terms,
and biases hold what constant units gave."""
_REPEATS: Final = 20


class Cost(NamedTuple):
    """What a network takes.

    Attributes:
      parameters: the number of its trained numbers.
      flops: floating-point operations of its matrix products for one example.
      bytes: the size of its file, or of all files in its folder.
      seconds: the median time of a batch of 64 examples, by the library that the format belongs to.
    """

    parameters: int
    flops: int
    bytes: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Pruning:
    """The outcome of a pruning.

    Attributes:
      before, after: the costs of the run's network and of the pruned one, both written in the format of the export.
      units: maps each hidden layer to how many units are left, of how many there were.
      unused_inputs: the places, in a flattened example, of inputs that no unit hears; None if these are not known.
      drops_inputs: whether the pruned network does not take them.
      largest_difference: of the pruned network's logits from the run's, over the largest logit.
    """

    before: Cost
    after: Cost
    units: dict[str, tuple[int, int]]
    unused_inputs: list[int] | None
    drops_inputs: bool
    largest_difference: float

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain JSON values."""
        return {**dataclasses.asdict(self), "before": self.before._asdict(), "after": self.after._asdict(),
                "units": {layer: {"left": left, "of": of} for layer, (left, of) in self.units.items()}}

    def lines(self) -> list[str]:
        """Returns it as lines of text."""
        units = ", ".join(f"{left:,} of {of:,} in {layer}" for layer, (left, of) in self.units.items())
        told = [f"Units       {units or 'no hidden layer'}"]
        if self.unused_inputs is not None:
            kept = "; the network takes the others alone" if self.drops_inputs else (
                "; the network still takes them (--drop_inputs leaves them out)" if self.unused_inputs else "")
            told.append(f"Inputs      {len(self.unused_inputs):,} are unused{kept}")
        rows = [("parameters", f"{self.before.parameters:,}", f"{self.after.parameters:,}"),
                ("FLOPs", f"{self.before.flops:,}", f"{self.after.flops:,}"),
                ("bytes", f"{self.before.bytes:,}", f"{self.after.bytes:,}"),
                ("64 examples", f"{1e3 * self.before.seconds:.3g} ms", f"{1e3 * self.after.seconds:.3g} ms")]
        told.append(f"Pruned      {'':12}{'before':>14}{'after':>14}")
        told += [f"{'':12}{name:<12}{before:>14}{after:>14}" for name, before, after in rows]
        return [*told, f"Same        logits differ from those of the run by {self.largest_difference:.1e} of the "
                       "largest at most"]


class Smaller(NamedTuple):
    """A pruned network and what went.

    Attributes:
      network: the network.
      units: see `Pruning`.
      unused_inputs: see `Pruning`.
      taken: gives an example [n, *input_shape] of the data the form that the network takes.
    """

    network: Network
    units: dict[str, tuple[int, int]]
    unused_inputs: list[int] | None
    taken: Callable[[np.ndarray], np.ndarray]


def prune(network: Network, *, drop_inputs: bool = False) -> Smaller:
    """Returns the network without the units that no logit needs.

    Args:
      drop_inputs: whether it takes only the inputs that some unit hears, as [batch, used inputs].

    Raises:
      ConfigError: the network has no such form.
    """
    found = network.model.pruned(network.weights, drop_inputs=drop_inputs)
    if found is None:
        raise ConfigError(f"--prune: --model={network.model.name} does not say how its units are left out: export it "
                          "without, or give the model a method `pruned`")
    if drop_inputs and found.used_inputs is None:
        raise ConfigError(f"--drop_inputs: --model={network.model.name} takes whole examples: leave the flag out")
    features, units = int(np.prod(network.input_shape)), {layer: (len(kept), of) for layer, (kept, of) in
                                                          found.kept.items()}
    unused = None if found.used_inputs is None else np.setdiff1d(np.arange(features), found.used_inputs).tolist()
    smaller = dataclasses.replace(network, model=found.model, weights=found.weights)
    if not drop_inputs:
        return Smaller(smaller, units, unused, lambda x: x)
    used = np.asarray(found.used_inputs)
    of_used = network.standardization and Standardization(network.standardization.mean[used],
                                                          network.standardization.std[used])
    smaller = dataclasses.replace(smaller, input_shape=(len(used),), standardization=of_used, inputs=used)
    return Smaller(smaller, units, unused, lambda x: x.reshape(len(x), -1)[:, used])


def cost_of(network: Network, path: pathlib.Path, read: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> Cost:
    """Measures a network that was written.

    Args:
      path: its file or folder.
      read: computes logits by what was written.
      x: the examples to time it with.
    """
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    read(x)
    times = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        read(x)
        times.append(time.perf_counter() - begun)
    return Cost(network.model.size, network.model.flops, sum(one.stat().st_size for one in files),
                statistics.median(times))
