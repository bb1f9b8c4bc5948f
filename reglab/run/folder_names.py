"""The folder of a run: the one named, or a new one; either is owned by this process alone."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import pathlib
import re
import time
from collections.abc import Iterator

from reglab.config import Config
from reglab.config.strengths import in_names, is_zero
from reglab.storage.ownership import owning, owning_new


@contextlib.contextmanager
def own_folder(config: Config, kind: str = "") -> Iterator[Config]:
    """Inside the block, this process alone owns the folder of a run or of another `kind` of work.

    Yields:
      `config`, with the name of a new folder if it named none.

    Raises:
      ConfigError: another process is at work there, or it cannot be written.
    """
    if config.model_dir is not None:
        with owning(config.model_dir):
            yield config
    else:
        with owning_new(default_names(config, kind)) as name:
            yield dataclasses.replace(config, model_dir=name)


def with_default_name(config: Config, kind: str = "") -> Config:
    """Returns `config` with the name that a new folder would get, if it names none; no folder is made."""
    return config if config.model_dir else dataclasses.replace(config, model_dir=next(default_names(config, kind)))


def default_names(config: Config, kind: str = "") -> Iterator[str]:
    """Yields names `runs/<time>-<data>-<penalties>`, for example runs/20260131-101530-digits-l1=0.001.

    The name of the run, if it has one, stands in place of data and penalties. All but the first are for other runs
    started within the same second.
    """
    dataset = re.sub(r"\W+", "-", pathlib.Path(config.dataset).stem)
    penalties = "".join(f"-{name}={in_names(strength)}" for name, strength in config.strengths.items()
                        if not is_zero(strength))
    named = f"{dataset}{penalties}" if config.name is None else re.sub(r"\W+", "-", config.name).strip("-") or "run"
    yield from timed_names(f"{named}{kind and '-'}{kind}")


def timed_names(end: str) -> Iterator[str]:
    """Yields names `runs/<time>-<end>`; all but the first are for others started within the same second."""
    base = f"runs/{time.strftime('%Y%m%d-%H%M%S')}-{end}"
    yield base
    yield from (f"{base}-{number}" for number in itertools.count(2))
