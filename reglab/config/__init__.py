"""What to train, as one frozen value: `Config`, whose fields are the flags of a run. Nothing here imports TensorFlow.

`fields` declares every field once, with everything that is made from it; `checks` holds the checks on values.
"""

from reglab.config.allowed import (
    ACTIVATIONS,
    DATASETS,
    DEFAULT_WEIGHT_DECAY,
    MOST_COUNT,
    MOST_CPU_DEVICES,
    MOST_LIST,
    MOST_SEED,
    OPTIMIZERS,
)
from reglab.config.configuration import Config
from reglab.config.errors import ConfigError
from reglab.config.fields import FLAGS, HANDLING_FIELDS
from reglab.config.flag import Flag, spelled

__all__ = ["ACTIVATIONS", "DATASETS", "DEFAULT_WEIGHT_DECAY", "FLAGS", "HANDLING_FIELDS", "MOST_COUNT",
           "MOST_CPU_DEVICES", "MOST_LIST", "MOST_SEED", "OPTIMIZERS", "Config", "ConfigError", "Flag", "spelled"]
