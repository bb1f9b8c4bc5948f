"""Class weights: how much the examples of each class weigh in the data loss of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.config.weights import BALANCED, read_weights
from reglab.data.labels import ClassName
from reglab.inputs.texts import did_you_mean, shown

_MOST_COMPARED: Final = 1000


def weights_of_classes(given: str, y: npt.NDArray[np.int32], classes: int,
                       names: Sequence[ClassName] | None) -> npt.NDArray[np.float64]:
    """Returns the weight of each class, float64 [classes].

    "balanced" gives a class with c of the n labels the weight n / (classes with a label · c), so that the weights of
    all examples sum to n and those of every class alike, as in scikit-learn. A class without a label weighs 1.

    Args:
      given: "balanced", or `benign=1,malignant=2`; a class that it does not name weighs 1.
      y: the labels of the training examples.

    Raises:
      ConfigError: it names a class that the data do not have.
    """
    if given == BALANCED:
        counts = np.bincount(y, minlength=classes)
        return np.where(counts > 0, len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1)), 1.0)
    return _named(given, read_weights(given), [str(name) for name in (range(classes) if names is None else names)])


def _named(given: str, weights: Mapping[str, float], names: Sequence[str]) -> npt.NDArray[np.float64]:
    places = {name: k for k, name in enumerate(names)}
    found = np.ones(len(names))
    for name, weight in weights.items():
        if name not in places:
            raise ConfigError(f"--class_weights={shown(given, 80)}: there is no class {shown(name, 40)}: the classes "
                              f"are {shown(', '.join(names), 100)}{did_you_mean(name, names[:_MOST_COMPARED])}")
        found[places[name]] = weight
    return found
