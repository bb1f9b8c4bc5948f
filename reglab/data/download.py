"""Downloads the public image sets with Keras, using its cache and checksums."""

from __future__ import annotations

import contextlib
import importlib
import sys

import numpy as np

from reglab.config import ConfigError
from reglab.data.catalog import IMAGE_SETS
from reglab.data.examples import Examples, Undivided
from reglab.inputs.texts import one_line


def download(dataset: str) -> Undivided:
    """Reads `dataset` from Keras' cache (`~/.keras/datasets`), which Keras fills from the network the first time.

    Raises:
      ConfigError: it is not in the cache and cannot be downloaded.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints its progress, but standard output is for results
            keras = importlib.import_module("keras")  # imported here, because it imports TensorFlow
            parts = getattr(keras.datasets, dataset).load_data()
    except Exception as error:  # get_file raises a bare Exception for a failed download
        raise ConfigError(f"--dataset={dataset} cannot be downloaded ({one_line(error, 200)}); "
                          f"give a --data_dir that holds {IMAGE_SETS[dataset].files}") from None
    train, test = (Examples(x.reshape(len(x), -1), y.reshape(-1).astype(np.int32)) for x, y in parts)
    return IMAGE_SETS[dataset].undivided(dataset, train, test)
