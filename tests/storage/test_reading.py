"""Files that say that they have no end are told by their size, before anything is read."""

from __future__ import annotations

import hashlib
import os
import pathlib

import pytest

from reglab.storage import reading
from reglab.storage.reading import Unreadable, file_digest, read_bytes, read_sealed, sealed


def test_a_file_comes_back_in_one_piece(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PIECE", 7)
    content = os.urandom(100)
    (tmp_path / "file").write_bytes(content)
    assert read_bytes(tmp_path / "file") == read_bytes(tmp_path / "file", 100) == content
    assert file_digest(tmp_path / "file") == hashlib.sha256(content).hexdigest()
    with pytest.raises(Unreadable, match="has more than 99 bytes"):
        read_bytes(tmp_path / "file", 99)


def test_a_file_of_holes_is_not_read_into_memory(tmp_path: pathlib.Path) -> None:
    with open(tmp_path / "holes", "wb") as file:
        file.truncate(2**40)
    for read in (read_bytes, file_digest):
        with pytest.raises(Unreadable, match="has more than"):
            read(tmp_path / "holes")


def test_a_pipe_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read in (read_bytes, file_digest):
        with pytest.raises(Unreadable, match="is no ordinary file"):
            read(tmp_path / "pipe")


def test_a_sealed_object_is_whole_to_its_last_byte(tmp_path: pathlib.Path) -> None:
    path, text = tmp_path / "object.json", sealed({"a": 1})
    path.write_text(text)
    assert read_sealed(path) == {"a": 1}
    for kept in range(len(text)):
        path.write_text(text[:kept])
        with pytest.raises(Unreadable):
            read_sealed(path)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="there is no /proc here")
def test_a_file_that_says_it_is_empty_is_bounded_too() -> None:
    with pytest.raises(Unreadable, match="has more than 10 bytes"):
        read_bytes(pathlib.Path("/proc/self/maps"), 10)
