"""The reproductions, by name. Each is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Final

from reglab.config import ConfigError
from reglab.inputs.texts import did_you_mean, shown
from reglab.reproduce.base import Reproduction

_CLASSES: Final = {"mnist1d": "MNIST1D", "scardapane2017": "Scardapane2017", "lassonet_mnist": "LassoNetMNIST"}
"""Each is in the module of its name."""
NAMES: Final = tuple(_CLASSES)


def reproduction_of(name: str, data_dir: str | None = None) -> Reproduction:
    """Returns the reproduction of this name, with the settings of the publication.

    Args:
      data_dir: the folder of the data set's files, if it needs any; else Keras downloads them.

    Raises:
      ConfigError: there is none, or it needs no files.
    """
    if name not in _CLASSES:
        raise ConfigError(f"reproduce {shown(name, 60)}: choose {' or '.join(NAMES)}{did_you_mean(name, NAMES)}")
    made = getattr(importlib.import_module(f"reglab.reproduce.{name}"), _CLASSES[name])
    if data_dir is not None and not made.takes_data_dir:
        raise ConfigError(f"--data_dir={shown(data_dir)}: {name} needs no files; leave it out")
    reproduction: Reproduction = made(data_dir=data_dir) if made.takes_data_dir else made()
    return reproduction
