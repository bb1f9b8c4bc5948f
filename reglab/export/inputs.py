"""Inputs on which an exported network is compared with the run's: real ones where these are at hand, and random.

Nothing is downloaded for it: the data are the digits that come with reglab, or files that the run was given.
"""

from __future__ import annotations

import os
import pathlib
from typing import Final, NamedTuple

import numpy as np

from reglab.config import Config, ConfigError
from reglab.data import Dataset, load_configured
from reglab.run.older import with_split_of_today
from reglab.trained.network import Network
from reglab.trained.source import read_source

_EXAMPLES: Final = 64
_MOST_BYTES: Final = 2**28


class Inputs(NamedTuple):
    """Inputs [examples, *input_shape] in the units of the data, float32, and what they are, for people."""

    inputs: np.ndarray
    text: str


def inputs_like(network: Network, model_dir: pathlib.Path) -> Inputs:
    """Returns random inputs in the range of the data and, before them, validation examples if they can be read."""
    random = _random(network)
    real = _real(network, model_dir)
    if real is None:
        return Inputs(random.astype(np.float32), f"{len(random)} random inputs")
    return Inputs(np.concatenate([real, random]).astype(np.float32),
                  f"{len(real)} validation examples and {len(random)} random inputs")


def _random(network: Network) -> np.ndarray:
    random, shape = np.random.default_rng(0), (_EXAMPLES, *network.input_shape)
    if network.standardization is None:
        return random.uniform(0, network.divisor, shape)
    mean, std = (array.reshape(network.input_shape) for array in (network.standardization.mean,
                                                                  network.standardization.std))
    return random.normal(mean, std, shape)


def _real(network: Network, model_dir: pathlib.Path) -> np.ndarray | None:
    """Returns validation examples of the run's own data, or None if these are not at hand or not the same any more."""
    try:
        source = read_source(model_dir)
        if not _is_at_hand(source.config):
            return None
        data = load_configured(with_split_of_today(source.config, source.facts))
    except (ConfigError, OSError, MemoryError):
        return None
    if not isinstance(data, Dataset) or data.digest != source.facts.get("digest"):
        return None
    x = data.validation.x[:_EXAMPLES]
    return x.reshape(len(x), *network.input_shape)


def _is_at_hand(config: Config) -> bool:
    """Returns whether the data are the digits, or files of a size that is read at once."""
    if config.dataset == "digits":
        return True
    try:
        places = [config.data_dir] if config.data_dir else [config.dataset]
        files = [path for place in places for path in ([pathlib.Path(place), *pathlib.Path(place).glob("*")])
                 if path.is_file()]
        return bool(files) and sum(os.path.getsize(path) for path in files) <= _MOST_BYTES
    except OSError:
        return False
