"""What a command checks before it imports TensorFlow, which takes seconds, and before anything is written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reglab.cluster import cluster_from_environment
from reglab.config import Config, ConfigError
from reglab.config.devices import check_devices, is_sure_of_one_cpu
from reglab.config.memory import check_memory
from reglab.config.selection import make_model, penalized_layers, strengths_by_layer
from reglab.config.strengths import Strength
from reglab.engine.cache_folder import VARIABLE
from reglab.inputs.paths import Unusable, check_path
from reglab.inputs.texts import shown

if TYPE_CHECKING:
    from reglab.data import Dataset


def preflight(config: Config, *, lanes: int = 1, penalize: Sequence[str] = (),
              strengths: Mapping[str, Sequence[Strength]] | None = None, replicas: bool = True) -> Dataset | None:
    """Checks the memory, the environment and the data of a configuration.

    Args:
      lanes: the number of lanes trained together.
      penalize, strengths: the patterns and strengths of the lanes, if they differ from those of the configuration.
      replicas: whether the command can run on a cluster.

    Returns:
      The data, or None if they must first be downloaded, which needs TensorFlow.

    Raises:
      ConfigError: something cannot be used.
    """
    from reglab import data  # Imports NumPy, which takes a while, and which help and refused flags do not need.

    _check_environment(config, replicas)
    model = make_model(config)
    for pattern in penalize or (config.penalize,):
        penalized_layers(model, pattern)
    for name, given in (strengths or {name: (value,) for name, value in config.strengths.items()}).items():
        for strength in given:
            if isinstance(strength, str):
                strengths_by_layer(model, config.penalize, name, strength)
    check_memory(config, lanes=lanes)
    if not data.is_here(config.dataset, config.data_dir):
        return None
    dataset = data.load_configured(config)
    data.check_batch_size(config, dataset)
    check_memory(config, input_shape=dataset.input_shape, classes=dataset.classes, lanes=lanes)
    return dataset


def _check_environment(config: Config, replicas: bool) -> None:
    cluster = None
    if replicas and config.strategy in ("auto", "multi_worker"):
        cluster = cluster_from_environment(os.environ)
    is_fixed = replicas and config.strategy in ("one_device", "multi_worker")
    if cluster is None and not is_fixed and is_sure_of_one_cpu():
        check_devices(config.num_devices, config.cpu_devices or 1, "CPU")
    try:
        check_path(os.environ.get(VARIABLE, ""))
    except Unusable as error:
        raise ConfigError(f"{VARIABLE}={shown(os.environ[VARIABLE])} cannot be used ({error}): name a folder, or unset "
                          "it") from None
