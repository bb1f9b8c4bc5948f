"""Joins the curves of sets of lanes trained one after another, one set per seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reglab.core.parameters import map_arrays
from reglab.lab.lane_blowups import Blowup
from reglab.lab.lanes import LaneCurves


def interleaved(sets: Sequence[LaneCurves]) -> LaneCurves:
    """Returns the curves of n sets of m lanes as those of m · n lanes, lane by lane, each over the sets."""
    count, size = len(sets), sets[0].train["data_loss"].shape[-1]
    order = np.arange(count * size).reshape(count, size).T.ravel()

    def joined(curves: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([curve[name] for curve in curves], axis=-1)[..., order] for name in curves[0]}

    def stacked(*arrays: np.ndarray) -> np.ndarray:
        return np.concatenate(arrays)[order]

    blowups = sorted((Blowup(blowup.lane * count + at, blowup.step, blowup.left_out)
                      for at, curves in enumerate(sets) for blowup in curves.blowups), key=lambda blowup: blowup.lane)
    return LaneCurves(sets[0].epochs, joined([curves.train for curves in sets]),
                      joined([curves.validation for curves in sets]), joined([curves.weights for curves in sets]),
                      map_arrays(stacked, *(curves.parameters for curves in sets)), tuple(blowups),
                      map_arrays(stacked, *(curves.buffers for curves in sets)), sets[0].kernel_entries)
