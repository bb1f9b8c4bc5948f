"""The reproductions, by name. Each is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Final

from reglab.config import ConfigError
from reglab.inputs.texts import did_you_mean, shown
from reglab.reproduce.base import Reproduction

_CLASSES: Final = {"mnist1d": "MNIST1D"}  # Each is in the module of its name.
NAMES: Final = tuple(_CLASSES)


def reproduction_of(name: str) -> Reproduction:
    """Returns the reproduction of this name, with the settings of the publication.

    Raises:
      ConfigError: there is none.
    """
    if name not in _CLASSES:
        raise ConfigError(f"reproduce {shown(name, 60)}: choose {' or '.join(NAMES)}{did_you_mean(name, NAMES)}")
    made: Reproduction = getattr(importlib.import_module(f"reglab.reproduce.{name}"), _CLASSES[name])()
    return made
