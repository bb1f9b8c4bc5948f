"""Finding and reading the files under `--data_dir`."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import IO

from reglab.config import ConfigError
from reglab.inputs.paths import Unusable, open_regular, read_regular, reason
from reglab.inputs.texts import shown


@dataclasses.dataclass(frozen=True)
class DataFile:
    """A file by its `name` relative to `data_dir`; within an archive the name continues: `x.tar.gz/data_batch_1`."""

    data_dir: str
    name: str

    @property
    def path(self) -> pathlib.Path:
        """Where the file is, with `~` expanded, since the shell does not expand it in `--data_dir=~/x`."""
        return pathlib.Path(os.path.expanduser(self.data_dir), self.name)

    def inside(self, name: str) -> DataFile:
        """Returns the file `name` in this folder or archive."""
        return DataFile(self.data_dir, f"{self.name}/{name}")

    def open(self) -> IO[bytes]:
        """Opens the file for reading.

        Raises:
          ConfigError: it cannot be opened, or is not a regular file.
        """
        try:
            return open_regular(self.path)
        except (OSError, Unusable) as error:
            raise self.unreadable(error) from None

    def read(self, most: int) -> bytes:
        """Reads the content, of at most `most` bytes.

        Raises:
          ConfigError: it cannot be read, or is larger.
        """
        try:
            return read_regular(self.path, most)
        except (OSError, Unusable) as error:
            raise self.unreadable(error) from None

    def unreadable(self, error: OSError | Unusable) -> ConfigError:
        """Makes the error to raise when the content cannot be read."""
        return ConfigError(f"--data_dir={shown(self.data_dir)}: {self.name} cannot be read ({reason(error)}); "
                           "check that it is a file and its permissions")

    def damaged(self, what: str) -> ConfigError:
        """Makes the error to raise when the content is not what it should be."""
        return ConfigError(f"--data_dir={shown(self.data_dir)}: {self.name} {what}; download it again")


def locate(data_dir: str, dataset: str, names: Sequence[str]) -> DataFile:
    """Finds the first of `names` that exists, in `data_dir` itself or else in its folder `dataset`.

    Raises:
      ConfigError: there is no such folder, or none of the files exists.
    """
    if not os.path.isdir(DataFile(data_dir, "").path):
        raise ConfigError(f"--data_dir={shown(data_dir)}: there is no such folder; give the one with the "
                          f"files of {dataset}")
    for prefix in ("", f"{dataset}/"):
        for name in names:
            file = DataFile(data_dir, prefix + name)
            if os.path.exists(file.path):  # Path.exists raises on a folder that may not be searched
                return file
    raise ConfigError(f"--data_dir={shown(data_dir)}: {' or '.join(names)} is neither there nor in its folder "
                      f"{dataset}; put the file there, or leave --data_dir out to download {dataset}")
