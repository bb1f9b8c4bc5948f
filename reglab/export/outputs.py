"""Where an export goes, whose that place is meanwhile, and what a killed one left there. No TensorFlow here."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Final

from reglab.config import ConfigError
from reglab.storage.files import remove_known
from reglab.storage.ownership import owning
from reglab.trained.source import run_folder, usable_place

_OWN: Final = ("network.keras", "network.npz", *(f"network/{name}" for name in (
    "saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "assets/*", "variables/variables.*",
    "variables/variables_temp/*")))
_OTHERS: Final = frozenset({".h5", ".hdf5", ".onnx", ".pb", ".pt", ".tflite", ".json", ".npy", ".zip"})


def output_path(model_dir: str | os.PathLike[str], output: str | os.PathLike[str] | None) -> pathlib.Path:
    """The file or folder to write: `model.keras` in the folder of the run, if none is named.

    Raises:
      ConfigError: there can be none of that name.
    """
    if output is None:
        return run_folder(model_dir) / "model.keras"
    return usable_place("output", output)


def check_output(path: pathlib.Path) -> None:
    """Raises:
      ConfigError: there is something of that name, or reglab writes no file of that ending.
    """
    if path.suffix in _OTHERS:
        raise ConfigError(f"--output={path}: reglab writes .keras and .npz files, and SavedModel folders of any "
                          "other name")
    if os.path.lexists(path):
        raise ConfigError(f"--output={path} exists already: name another file, or remove it")


@contextlib.contextmanager
def owning_output(model_dir: str | os.PathLike[str], path: pathlib.Path) -> Iterator[None]:
    """Inside the block the output is this process' alone and, where it is a file of the run, the run's folder too.

    The run need not be: it is only read, and may be on a file system that is read-only.

    Raises:
      ConfigError: another process is at work there, or it cannot be written.
    """
    model_dir = run_folder(model_dir)
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
