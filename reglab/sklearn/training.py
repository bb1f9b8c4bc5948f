"""Fits and predictions of the estimator. Importing this imports TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reglab.config import Config
from reglab.data import Dataset, Examples, steps_per_epoch
from reglab.data.sampling import split
from reglab.engine.sharing import ProgramCache, shared_programs
from reglab.interactive.fitting import fit
from reglab.interactive.history import History
from reglab.trained.from_history import network_of

JIT_STEPS: Final = 5000
"""Fits of at least so many steps are compiled by XLA, unless the user decides. On the digits (MLP 128-64, batch 32, two
cores) compiling pays from 6,600 steps on if nothing shares it, and from 3,300 on if a second fit does."""
KEPT: Final = ProgramCache(most=32)
"""Compiled programs of earlier fits, used again by fits of the same shapes: folds, points of a grid, refits."""
_BATCH: Final = 1000


def trained(config: Config, examples: Examples, classes: int, *, jit: bool | None, progress: bool) -> History:
    """Trains a network.

    Args:
      config: its `batch_size` may be more than there are examples, and its `jit` is replaced.
      jit: whether XLA compiles the loop; None: if it has at least `JIT_STEPS` steps.

    Raises:
      ConfigError: the examples do not allow what the configuration asks for.
      Diverged: the data loss became infinite or NaN.
    """
    train, validation = (examples, examples.take(np.arange(0))) if config.validation_split == 0 else split(
        examples, config.validation_split, seed=config.resolved_data_seed)
    dataset = Dataset("X", train, validation, classes, (examples.x.shape[1],), 1.0)
    with shared_programs(KEPT):
        return fit(fitted(config, len(train), jit), dataset, progress=progress)


def fitted(config: Config, examples: int, jit: bool | None) -> Config:
    """Returns the configuration for a number of training examples: see `trained`."""
    batch_size = min(config.batch_size, examples)
    steps = config.epochs * steps_per_epoch(examples, batch_size)
    return dataclasses.replace(config, batch_size=batch_size, jit=steps >= JIT_STEPS if jit is None else jit)


def logits(history: History, x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Computes the logits [n, classes] of X [n, features], in float64."""
    network = network_of(history, precision="float64")
    parts = [network.logits(x[first:first + _BATCH]) for first in range(0, len(x), _BATCH)]
    return np.concatenate(parts)
