"""Event files: what TensorBoard reads of them, and that no failure is lost, told twice or shown as a traceback."""

from __future__ import annotations

import errno
import os
import pathlib
import threading
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto import event_pb2

from reglab.run.logs.event_file import EventFile, WholeEventFile
from reglab.storage.files import StorageError


def event(step: int) -> event_pb2.Event:
    return event_pb2.Event(step=step, wall_time=1.0)


def steps(path: pathlib.Path) -> list[int]:
    return [read.step for read in EventFileLoader(str(path)).Load()][1:]


class Refusing:
    """A file whose `write` the system refuses."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_tensorboard_reads_all_that_was_flushed(tmp_path: pathlib.Path) -> None:
    file = EventFile(tmp_path / "new" / "run", ".suffix")
    for step in range(3000):
        file.add(event(step))
    file.flush()
    assert steps(file.path) == list(range(3000))
    assert file.path.name.startswith("events.out.tfevents.") and file.path.name.endswith(".suffix")
    file.add(event(5))
    file.close()
    file.close()
    assert steps(file.path)[-1] == 5


def test_files_of_one_second_are_apart_and_in_order(tmp_path: pathlib.Path) -> None:
    files = [EventFile(tmp_path) for _ in range(12)]
    paths = [file.path for file in files]
    assert len(set(paths)) == len(list(tmp_path.iterdir())) == 12
    assert sorted(paths) == paths  # TensorBoard reads them in the order of their names.
    for file in files:
        file.close()


@pytest.mark.parametrize("told_by", ["flush", "close", "add"])
def test_a_failure_is_told_once_and_shows_nothing(tmp_path: pathlib.Path, told_by: str,
                                                  capfd: pytest.CaptureFixture[str]) -> None:
    file = EventFile(tmp_path)
    file._file = Refusing(file._file)
    file.add(event(1))
    if told_by == "add":
        file._queue.join()
    with pytest.raises(StorageError, match=f"{file.path} cannot be written .No space left on device.: make room"):
        file.add(event(2)) if told_by == "add" else getattr(file, told_by)()
    file.close()
    assert not file._thread.is_alive()
    assert capfd.readouterr() == ("", "")
    assert steps(file.path) == []


def test_a_failing_writer_never_blocks(tmp_path: pathlib.Path) -> None:
    file = EventFile(tmp_path)
    file._file = Refusing(file._file)
    for step in range(5000):
        try:
            file.add(event(step))
        except StorageError:
            break
    else:
        pytest.fail("nothing was told")
    file.close()
    assert threading.active_count() < 50


def test_a_file_that_was_removed_is_told(tmp_path: pathlib.Path) -> None:
    file = EventFile(tmp_path)
    file.path.unlink()
    file.add(event(1))
    with pytest.raises(StorageError, match=r"cannot be written \(it was taken away meanwhile\)"):
        file.flush()
    file.close()


def test_where_there_can_be_no_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(StorageError, match="cannot be written"):
        EventFile(tmp_path / "run")


def test_a_whole_file_replaces_the_one_before(tmp_path: pathlib.Path) -> None:
    for step in (1, 2):
        file = WholeEventFile(tmp_path / "run")
        file.add(event(step))
        file.flush()
        file.close()
        file.close()
        assert steps(file.path) == [step]
    assert [path.name for path in (tmp_path / "run").iterdir()] == [WholeEventFile.NAME]
