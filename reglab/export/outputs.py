"""The output of an export: its path, its owner, and the remains of a killed export. No TensorFlow here."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Final

from reglab.config import ConfigError
from reglab.config.checks import one_of
from reglab.export.kinds import KINDS, default_name
from reglab.storage.files import remove_known
from reglab.storage.ownership import owning
from reglab.trained.source import run_folder, usable_place

_OWN: Final = (*(f"network{kind.suffix}" for kind in KINDS.values() if kind.suffix), *(f"network/{name}" for name in (
    "saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "assets/*", "assets.extra/*", "variables/variables.*",
    "variables/variables_temp/*")))


def output_path(model_dir: str | os.PathLike[str], output: str | os.PathLike[str] | None,
                name: str | None = None) -> pathlib.Path:
    """Returns the file or folder to write: if none is named, `model.keras` in the folder of the run, or the like.

    Args:
      name: the format's, if it is given.

    Raises:
      ConfigError: no file or folder can have that name, or there is no such format.
    """
    if name is not None:
        one_of(*KINDS)("format", name)
    if output is None:
        return run_folder(model_dir) / default_name(name)
    return usable_place("output", output)


def check_output(path: pathlib.Path) -> None:
    """Checks that a network may be written to a path.

    Raises:
      ConfigError: the path exists.
    """
    if os.path.lexists(path):
        raise ConfigError(f"--output={path} exists already: name another file, or remove it")


@contextlib.contextmanager
def owning_output(model_dir: str | os.PathLike[str], path: pathlib.Path) -> Iterator[None]:
    """Inside the block, this process alone owns the output and, if that is in the run's folder, the run's folder.

    Otherwise the run is not owned: it is only read, and may be on a read-only file system.

    Raises:
      ConfigError: another process is at work there, or it cannot be written.
    """
    model_dir = run_folder(model_dir)
    with contextlib.ExitStack() as stack:
        if model_dir.is_dir() and path.parent.resolve() == model_dir.resolve():
            stack.enter_context(owning(model_dir))
        if path.parent != model_dir or model_dir.is_dir():  # Otherwise there is no run, which reading it will report.
            stack.enter_context(owning(path.parent, flag="--output", file=path.name))
        yield


@contextlib.contextmanager
def scratch_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Makes a folder beside the output, to write `network*` into; it is removed at the end with those files.

    Raises:
      ConfigError: it cannot be made.
    """
    folder = path.with_name(f".{path.name}.reglab")
    try:
        left = remove_known(folder, _OWN)  # Left by a killed process.
        if left:
            raise ConfigError(f"--output={path}: {folder / left[0]} is in the way: move it away")
        folder.mkdir()
    except OSError as error:
        raise ConfigError(f"--output={path} cannot be written ({error.strerror or error}): "
                          "name a place you may write to") from None
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            remove_known(folder, _OWN)
