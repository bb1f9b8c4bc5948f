"""Standardization: the model's input is (x - mean) / std, feature by feature, with what the training part has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.inputs.texts import shown

MOST_FEATURES: Final = 100_000
"""The most features that can be standardized, since their statistics are kept as text with the run."""
_AT_A_TIME: Final = 2**22
_LARGEST: Final = float(np.finfo(np.float32).max)
_SMALLEST: Final = float(np.finfo(np.float32).tiny)


@dataclasses.dataclass(frozen=True, eq=False)
class Standardization:
    """Mean and standard deviation of each feature: float64 [features], in the units of the data files.

    A feature that is constant in the training part has a standard deviation of 0. Its input is 0 for every example,
    whatever its value, since no training can have told what other values mean.
    """

    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]

    @property
    def divisor(self) -> npt.NDArray[np.float64]:
        """What x - mean is divided by: the standard deviation, or infinity for a constant feature."""
        return np.where(self.std > 0, self.std, np.inf)

    def to_dict(self) -> dict[str, list[float]]:
        """Returns "mean" and "std" as JSON values."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @staticmethod
    def from_dict(told: Any, features: int) -> Standardization:
        """Inverts `to_dict`.

        Raises:
          ValueError: these are not finite numbers, one a feature, or a standard deviation is negative.
        """
        if not isinstance(told, Mapping):
            raise ValueError("no mapping")
        mean, std = (np.array(told.get(name), np.float64) for name in ("mean", "std"))
        if not (mean.shape == std.shape == (features,) and np.isfinite([mean, std]).all() and (std >= 0).all()):
            raise ValueError("not one finite number a feature")
        return Standardization(mean, std)


def standardization_of(name: str, x: npt.NDArray[Any]) -> Standardization:
    """Computes mean and standard deviation (the root of the mean squared deviation) of [n, features], in float64.

    Args:
      name: what to call the data in messages.

    Raises:
      ConfigError: there are too many features, or float32 cannot hold the differences within one.
    """
    count, features = x.shape
    if features > MOST_FEATURES:
        raise ConfigError(f"--standardize: {shown(name)} has {features:,} features, and at most {MOST_FEATURES:,} are "
                          "standardized: scale them yourself")
    rows = max(1, _AT_A_TIME // features)
    parts = [slice(first, first + rows) for first in range(0, count, rows)]
    mean = sum(x[part].sum(0, dtype=np.float64) for part in parts) / count
    variance = sum(np.square(x[part].astype(np.float64) - mean).sum(0) for part in parts) / count
    low, high = x.min(0).astype(np.float64), x.max(0).astype(np.float64)
    if (high - low > _LARGEST).any():
        raise ConfigError(f"--standardize: feature {int((high - low).argmax())} of {shown(name)} goes from "
                          f"{low[(high - low).argmax()]:g} to {high[(high - low).argmax()]:g}, which is beyond "
                          "float32: scale it yourself")
    # A sum may round, so that a constant feature is found by its values. What float32 rounds to 0 cannot be divided by.
    varies = (low < high) & (np.sqrt(variance) >= _SMALLEST)
    return Standardization(np.where(varies, mean, low), np.where(varies, np.sqrt(variance), 0.0))
