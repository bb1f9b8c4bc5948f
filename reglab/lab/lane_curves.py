"""The curves of lanes: what was measured of each at every evaluation."""

from __future__ import annotations

import dataclasses

import numpy as np

from reglab.lab.lane_blowups import Blowup


@dataclasses.dataclass(frozen=True, repr=False)
class LaneCurves:
    """The values of a set of lanes at each evaluation.

    Attributes:
      epochs: [evaluations] the epochs done.
      train: maps "data_loss", "accuracy" and, with label smoothing, "smoothed_data_loss" to [evaluations, lanes] over
        the whole training split.
      validation: the same over the validation split.
      weights: maps TensorBoard tags to [evaluations, lanes]: penalties, norms, sparsity.
      parameters: the final weights, by layer and name, with a leading lane axis.
      blowups: the lanes with steps that are not finite.
      buffers: the buffers that belong to the parameters.
      kernel_entries: the number of entries of all kernels of a lane.
      ends: with early stopping, [lanes] the evaluation of the state with which each lane ends; those after its last one
        repeat it, as the lane is frozen. Without, None: every lane ends with its last evaluation.
      trained: with early stopping, [lanes] the epochs for which each lane was trained.
    """

    epochs: np.ndarray
    train: dict[str, np.ndarray]
    validation: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    parameters: dict[str, dict[str, np.ndarray]]
    blowups: tuple[Blowup, ...] = ()
    buffers: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    kernel_entries: int = 0
    ends: np.ndarray | None = None
    trained: np.ndarray | None = None

    def __repr__(self) -> str:
        evaluations, lanes = self.train["data_loss"].shape
        return f"<LaneCurves of {lanes:,} lanes at {evaluations:,} evaluations>"

    @property
    def diverged(self) -> np.ndarray:
        """[lanes] whether the final data loss of a lane is not finite."""
        return ~np.isfinite(self.final(self.train["data_loss"]))

    def final(self, values: np.ndarray) -> np.ndarray:
        """Returns [lanes] the values of the states with which the lanes end, given [evaluations, lanes]."""
        return values[-1] if self.ends is None else values[self.ends, np.arange(values.shape[1])]
