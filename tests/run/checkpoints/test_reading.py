"""TensorFlow is given no file of a checkpoint that it would wait for."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from reglab.certify.rerun import arrays
from reglab.config import ConfigError
from reglab.core.parameters import Weights
from reglab.run.checkpoints.reading import check_readable, read_weights
from reglab.storage.reading import Unreadable

READERS: dict[str, Callable[[pathlib.Path], Any]] = {
    "check": lambda folder: check_readable(folder / "checkpoints", 7),
    "export": lambda folder: read_weights(folder / "checkpoints", Weights({}, {})),
    "rerun": lambda folder: arrays(folder, 7)}


@pytest.mark.parametrize("name", ["ckpt-7.index", "ckpt-7.data-00000-of-00001"])
@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_not_waited_for(reader: str, name: str, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "ckpt-7.index").touch()
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises((ConfigError, Unreadable), match=f"{name} is no ordinary file"):
        READERS[reader](tmp_path)
