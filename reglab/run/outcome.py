"""How a run ends: with a history, interrupted, or without another worker. `divergence` has the fourth possibility."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from reglab.cluster import Cluster
from reglab.config import Config
from reglab.console.format import scores_text
from reglab.inputs import exit_codes
from reglab.run.evaluation import Evaluation


class Interrupted(exit_codes.Ending, KeyboardInterrupt):
    """A stop signal ended the run early; where there is a model_dir, the state is saved and the run can be resumed.

    Attributes:
      signal_name: what stopped it: a signal or `request`.
      step: the step after which it stopped.
    """

    exit_code = exit_codes.STOPPED

    def __init__(self, signal_name: str, step: int, saved: bool) -> None:
        super().__init__(f"stopped by {signal_name} after step {step}" + (", saved" if saved else ", nothing saved"))
        self.signal_name, self.step = signal_name, step


class PeerLost(exit_codes.Ending, RuntimeError):
    """Another worker of the cluster ended or hung; the run can be started again from its last checkpoint."""

    exit_code = exit_codes.PEER_LOST

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(f"{name} lost touch with another worker, which ended or hangs ({type(error).__name__}); "
                         "start the job again to go on from the last checkpoint")


@dataclasses.dataclass(frozen=True, repr=False)
class History:
    """The outcome of a run.

    Attributes:
      config: its configuration.
      evaluations: the evaluations of both splits that this process made, in order; with `patience`, the last one is
        that of the best state, once more.
      result: the contents of `result.json`.
      parameters: the final weights, with `patience` those of the best state, by layer and name (kernel, bias, …), as
        NumPy arrays.
      is_chief: whether this process wrote the files; True if it ran alone.
      buffers: the model's final buffers, such as moving averages.
      data: what is known of the data: the contents of `data.json`.
    """

    config: Config
    evaluations: list[Evaluation]
    result: dict[str, Any]
    parameters: dict[str, dict[str, np.ndarray]]
    is_chief: bool = True
    buffers: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    data: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        """Says how the run ended."""
        if "steps" not in self.result:  # This worker of a cluster wrote nothing.
            return f"<History of {self.config}>"
        return (f"<History of {self.result['epochs']} epochs, {self.result['steps']:,} steps: training "
                f"{scores_text(self.result['train'])}; validation {scores_text(self.result['validation'])}>")


@contextlib.contextmanager
def peers_needed(cluster: Cluster | None) -> Iterator[None]:
    """Turns the error by which TensorFlow reports, inside the block, that another worker is lost into `PeerLost`."""
    try:
        yield
    except tf.errors.OpError as error:
        if cluster is None:
            raise
        raise PeerLost(cluster.name(cluster.index), error) from error
