"""Where an export goes, whose that place is meanwhile, and what a killed one left there. No TensorFlow here."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Final

from reglab.config import ConfigError
from reglab.files import remove_known
from reglab.ownership import owning

_OWN: Final = ("network.keras", "network.npz", *(f"network/{name}" for name in (
    "saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "assets/*", "variables/variables.*",
    "variables/variables_temp/*")))


def output_path(model_dir: str | os.PathLike[str], output: str | os.PathLike[str] | None) -> pathlib.Path:
    """The file or folder to write: `model.keras` in the folder of the run, if none is named."""
    return pathlib.Path(model_dir).expanduser() / "model.keras" if output is None else pathlib.Path(output).expanduser()


@contextlib.contextmanager
def owning_output(model_dir: str | os.PathLike[str], path: pathlib.Path) -> Iterator[None]:
    """Inside the block the output is this process' alone and, where it is a file of the run, the run's folder too.

    The run need not be: it is only read, and may be on a file system that is read-only.

    Raises:
      ConfigError: another process is at work there, or it cannot be written.
    """
    model_dir = pathlib.Path(model_dir).expanduser()
    with contextlib.ExitStack() as stack:
        if model_dir.is_dir() and path.parent.resolve() == model_dir.resolve():
            stack.enter_context(owning(model_dir))
        if path.parent != model_dir or model_dir.is_dir():  # Else there is no run, which whoever reads it will say.
            stack.enter_context(owning(path.parent, flag="--output", file=path.name))
        yield


@contextlib.contextmanager
def scratch_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A new folder beside the output, to write `network*` into; removed at the end with what was written.

    Raises:
      ConfigError: it cannot be made.
    """
    folder = path.with_name(f".{path.name}.reglab")
    try:
        left = remove_known(folder, _OWN)  # Of a killed process.
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
