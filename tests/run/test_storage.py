"""A run whose folder is taken away, filled or used by another: one line that names the file, and no bit is lost."""

from __future__ import annotations

import dataclasses
import errno
import os
import pathlib
import re
import shutil
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config, ConfigError
from reglab.console import Console
from reglab.data import Dataset
from reglab.run.checkpoints.files import STAGING, put_in_place
from reglab.run.logs import event_file
from reglab.run.logs.records import framed
from reglab.run.loop import fit
from reglab.run.run_file import read_run_file
from reglab.storage import files
from reglab.storage.files import StorageError
from reglab.storage.ownership import owning

pytestmark = pytest.mark.usefixtures("shared_compilation")

CONFIG = Config(hidden=(4,), activation="tanh", batch_size=8, epochs=4, precision="float64", jit=False, seed=3,
                checkpoint_every=5, summary_every=2)


class Meddling(Console):
    """Does something once a step is done."""

    def __init__(self, step: int, action: Callable[[], object]) -> None:
        self._step, self._action, self._is_done = step, action, False

    def progress(self, step: int, epoch: int, losses: Any) -> None:
        if step >= self._step and not self._is_done:
            self._is_done = True
            self._action()


def refusal(folder: pathlib.Path, dataset: Dataset, console: Console | None = None) -> str:
    with pytest.raises(StorageError) as caught:
        fit(dataclasses.replace(CONFIG, model_dir=str(folder)), dataset, console=console)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def check_goes_on(folder: pathlib.Path, dataset: Dataset) -> None:
    """The same call ends with the weights of a run that nothing disturbed."""
    done = fit(dataclasses.replace(CONFIG, model_dir=str(folder)), dataset)
    alone = fit(CONFIG, dataset)
    for layer, arrays in alone.parameters.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(done.parameters[layer][name], array)
    assert [path for path in folder.rglob("*") if path.name.startswith(".") or "temp" in path.name] == []


@pytest.mark.parametrize(("name", "named"), [
    ("metrics.jsonl", "metrics.jsonl"), ("train", "train/events.out.tfevents."), ("checkpoints", "checkpoints"),
    ("", "")])
def test_what_is_taken_away_in_mid_run_is_named(tmp_path: pathlib.Path, dataset: Dataset, name: str,
                                                named: str) -> None:
    def take() -> None:
        path = tmp_path / "run" / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    line = refusal(tmp_path / "run", dataset, Meddling(12, take))
    assert line.startswith(str(tmp_path / "run" / named))
    # A checkpoint may be on its way to the disk just then.
    assert re.search(r" cannot be written \((it was taken away meanwhile|No such file or directory)\): "
                     "find out what took it away, then start the same again$", line)


@pytest.mark.parametrize("name", ["config.json", "data.json"])
def test_what_says_whose_the_folder_is_comes_back(tmp_path: pathlib.Path, dataset: Dataset, name: str) -> None:
    fit(dataclasses.replace(CONFIG, model_dir=str(tmp_path / "whole")), dataset)
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path / "run"))
    fit(config, dataset, console=Meddling(12, (tmp_path / "run" / name).unlink))
    found, expected = ((tmp_path / which / name).read_text() for which in ("run", "whole"))
    assert found == expected.replace(str(tmp_path / "whole"), str(tmp_path / "run"))


@pytest.mark.parametrize("name", ["config.json", "data.json", "run.json"])
def test_a_folder_in_the_place_of_a_file_is_named_and_the_run_goes_on_without_it(tmp_path: pathlib.Path,
                                                                               dataset: Dataset, name: str) -> None:
    path = tmp_path / "run" / name

    def put_folder() -> None:
        path.unlink()
        path.mkdir()

    line = refusal(tmp_path / "run", dataset, Meddling(12, put_folder))
    assert line.startswith(str(path))
    path.rmdir()
    check_goes_on(tmp_path / "run", dataset)


def test_the_file_that_names_the_run_comes_back_as_it_was(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    found: list[str] = []

    def take() -> None:
        found.append(read_run_file(tmp_path).run)
        (tmp_path / "run.json").unlink()

    fit(dataclasses.replace(CONFIG, model_dir=str(tmp_path)), dataset, console=Meddling(12, take))
    noted = read_run_file(tmp_path)
    assert [noted.run] == found and noted.result is not None
    assert all(path.name.endswith(f".{noted.run}") for path in tmp_path.rglob("events.out.tfevents.*"))


def test_a_checkpoint_whose_folder_was_emptied_is_not_put_in_place(tmp_path: pathlib.Path) -> None:
    staging = tmp_path / STAGING
    staging.mkdir()
    with pytest.raises(FileNotFoundError):
        put_in_place(staging, 5, "0" * 16)
    assert list(tmp_path.iterdir()) == [staging] and list(staging.iterdir()) == []


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path: pathlib.Path, dataset: Dataset,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    original = tf.train.Checkpoint.write

    def full(self: Any, prefix: str, *arguments: Any) -> Any:
        if prefix.endswith("ckpt-15"):
            pathlib.Path(f"{prefix}.data-00000-of-00001.tempstate1").write_text("half")
            raise tf.errors.ResourceExhaustedError(None, None, f"{prefix}.data; No space left on device")
        return original(self, prefix, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.Checkpoint, "write", full)
        line = refusal(tmp_path, dataset)
    assert line == (f"{tmp_path / 'checkpoints' / 'ckpt-15'} cannot be written (No space left on device): make room on "
                    "that file system, then start the same again")
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("ckpt-*.index"))[-1].startswith("ckpt-")
    assert list(tmp_path.rglob("*temp*")) == []
    check_goes_on(tmp_path, dataset)


def test_events_that_cannot_be_written_are_told_once(tmp_path: pathlib.Path, dataset: Dataset,
                                                     monkeypatch: pytest.MonkeyPatch,
                                                     capfd: pytest.CaptureFixture[str]) -> None:
    written: list[int] = []

    def full(data: bytes) -> bytes:
        written.append(len(data))
        if len(written) > 20:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return framed(data)

    with monkeypatch.context() as patch:
        patch.setattr(event_file, "framed", full)
        line = refusal(tmp_path, dataset)
    assert "events.out.tfevents." in line and f"({os.strerror(errno.EDQUOT)}): make room within your quota" in line
    assert capfd.readouterr() == ("", "")
    check_goes_on(tmp_path, dataset)


def test_a_result_that_cannot_be_written_is_written_by_the_next_call(tmp_path: pathlib.Path, dataset: Dataset,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    original = files.os.replace

    def read_only(source: Any, target: Any) -> None:
        if str(target).endswith("result.json"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        original(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", read_only)
        assert f"{tmp_path / 'result.json'} cannot be written (Read-only file system)" in refusal(tmp_path, dataset)
    check_goes_on(tmp_path, dataset)


@pytest.mark.parametrize("name", ["metrics.jsonl", "train", "checkpoints", "result.json"])
def test_what_cannot_be_written_at_the_start_is_bad_input(tmp_path: pathlib.Path, dataset: Dataset, name: str) -> None:
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path))
    fit(config, dataset)
    path = tmp_path / name
    path.rename(tmp_path.parent / f"{tmp_path.name}-{name}")
    path.symlink_to("nothing")
    with pytest.raises(ConfigError, match=f"{path} is a link to nothing, and .*: move it away"):
        fit(dataclasses.replace(config, epochs=4), dataset)


def test_one_process_or_thread_at_a_time(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            fit(dataclasses.replace(CONFIG, model_dir=str(tmp_path)), dataset)
        except ConfigError as error:
            caught.append(error)

    with owning(tmp_path):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert [path.name for path in tmp_path.iterdir()] == [".reglab.lock"]
    assert f"--model_dir={tmp_path} is in use by process {os.getpid()} on " in str(caught[0])
    check_goes_on(tmp_path, dataset)
