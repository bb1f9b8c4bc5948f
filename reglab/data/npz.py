"""Arrays from an .npz file."""

from __future__ import annotations

import pathlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.data.messages import one_line

ARRAY_NAMES: Final = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: str) -> dict[str, npt.NDArray[Any]]:
    """Those of x_train, y_train, x_test and y_test that the file holds. Pickled objects are refused.

    Raises:
      ConfigError: the file cannot be read, is no .npz file, or one of these arrays cannot be read.
    """
    reading = "it"
    try:
        with pathlib.Path(path).expanduser().open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ConfigError(f"--dataset={path} holds a single array, not an .npz archive; write it with "
                                  "numpy.savez(path, x_train=…, y_train=…)")
            arrays = {}
            for reading in (name for name in ARRAY_NAMES if name in archive):
                arrays[reading] = archive[reading]
            return arrays
    except ConfigError:
        raise
    except FileNotFoundError:
        raise ConfigError(f"--dataset={path}: there is no such file; give the path of an .npz file, or the name of a "
                          "data set") from None
    except Exception as error:  # a damaged zip or array header raises one of a dozen types
        raise ConfigError(f"--dataset={path}: {reading} cannot be read ({one_line(error)}); write the file again with "
                          "numpy.savez(path, x_train=…, y_train=…), numbers only") from None
