"""A file is whole or absent, and nothing is left beside it."""

from __future__ import annotations

import errno
import os
import pathlib
import stat
from typing import IO, Any

import pytest

from reglab.storage.files import (
    StorageError,
    check_not_removed,
    closing_after,
    misplaced,
    move_whole,
    remove_known,
    remove_temporaries,
    write_atomically,
    writing,
)


@pytest.mark.parametrize(("content", "found"), [("λ\n", "λ\n".encode()), (b"\0\1", b"\0\1"),
                                                (lambda file: file.write(b"written"), b"written")])
def test_what_is_written(content, found: bytes, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.json").write_text("before")
    write_atomically(tmp_path / "a.json", content)
    assert (tmp_path / "a.json").read_bytes() == found
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


def test_a_failure_leaves_what_was_there_and_nothing_beside_it(tmp_path: pathlib.Path) -> None:
    def fail(file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "a.json").write_text("before")
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "a.json", fail)
    assert (tmp_path / "a.json").read_text() == "before"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


def test_what_a_killed_process_left_is_written_over_and_a_link_there_is_not_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".a.json.tmp").symlink_to(tmp_path / "mine")
    write_atomically(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "new" and (tmp_path / "mine").read_text() == "mine"
    (tmp_path / ".a.json.tmp").write_text("half")
    remove_temporaries(tmp_path, ["b.json", "?.json"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "mine"]


@pytest.mark.parametrize(("number", "remedy"), [
    (errno.ENOSPC, "make room on that file system"), (errno.EDQUOT, "make room within your quota"),
    (errno.EROFS, "make that file system writable"), (errno.EACCES, "get permission to write there"),
    (errno.ENOENT, "find out what took it away"), (errno.EISDIR, "move the folder away that is in its place"),
    (errno.EIO, "look after that disk"), (errno.ENXIO, "mend that")])
def test_a_refusal_is_one_line_with_the_file_the_reason_and_what_to_do(number: int, remedy: str) -> None:
    line = f"a/b.json cannot be written ({os.strerror(number)}): {remedy}, then start the same again"
    for error in (OSError(number, os.strerror(number)), OSError(number, os.strerror(number), "a/b.json")):
        with pytest.raises(StorageError) as caught, writing("a/b.json"):
            raise error
        assert str(caught.value) == line


def test_the_refusals_of_tensorflow_are_the_same() -> None:
    import tensorflow as tf

    told = tf.errors.ResourceExhaustedError(None, None, "{{node X}} a/ckpt-1.temp; No space left on device [Op:X]\n?")
    line = r"^a/ckpt-1 cannot be written \(No space left on device\): make room on"
    with pytest.raises(StorageError, match=line), writing("a/ckpt-1"):
        raise told
    with pytest.raises(tf.errors.OpError), writing("a/ckpt-1", tensorflow=False):
        raise told


def test_other_errors_are_no_refusals() -> None:
    for error in (ValueError("x"), BrokenPipeError(), StorageError("told before")):
        with pytest.raises(type(error)) as caught, writing("a"):
            raise error
        assert caught.value is error


def test_an_open_file_that_was_taken_away(tmp_path: pathlib.Path) -> None:
    with open(tmp_path / "a", "w") as file:
        check_not_removed(file, tmp_path / "a")
        (tmp_path / "a").unlink()
        with pytest.raises(FileNotFoundError, match="it was taken away meanwhile"):
            check_not_removed(file, tmp_path / "a")
        (tmp_path / "a").write_text("another")
        with pytest.raises(FileNotFoundError):
            check_not_removed(file, tmp_path / "a")


def test_what_stands_in_the_place_of_a_file_or_folder(tmp_path: pathlib.Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nothing")
    (tmp_path / "good").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    assert misplaced(tmp_path, ["file", "good", "none"], ["folder", "none"]) is None
    for name, found in (("folder", "a folder"), ("link", "a link to nothing"), ("pipe", "no file")):
        assert misplaced(tmp_path, [name]) == f"{tmp_path / name} is {found}, and a file is to be there: move it away"
    for name, found in (("file", "no folder"), ("link", "a link to nothing")):
        assert misplaced(tmp_path, [], [name]) == (
            f"{tmp_path / name} is {found}, and a folder is to be there: move it away")


def test_only_what_is_known_is_removed(tmp_path: pathlib.Path) -> None:
    folder, outside = tmp_path / "own", tmp_path / "outside"
    for path in (folder / "a" / "b.json", folder / "a" / "mine", folder / "c" / "b.json", outside / "b.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / "link").symlink_to(outside)
    assert remove_known(folder, ["*/b.json"]) == ["a/mine", "link"]
    assert (outside / "b.json").exists()
    (folder / "a" / "mine").unlink()
    (folder / "link").unlink()
    assert remove_known(folder, []) == []
    assert not folder.exists()


def test_the_first_error_is_told_unless_it_is_a_stop_that_claims_to_have_saved() -> None:
    def close() -> None:
        raise StorageError("second")

    for first, told in ((ValueError, "first"), (StorageError, "first"), (KeyboardInterrupt, "second")):
        with pytest.raises((ValueError, StorageError), match=told), closing_after(close):
            raise first("first")
    with pytest.raises(StorageError, match="second"), closing_after(close):
        pass


def test_another_file_is_not_overwritten_where_it_must_not_be(tmp_path: pathlib.Path) -> None:
    write_atomically(tmp_path / "a", "mine", overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "a", "new", overwrite=False)
    assert (tmp_path / "a").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_what_is_moved_is_on_the_disk_before_it_has_its_name(tmp_path: pathlib.Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Any] = []
    rename = os.rename
    monkeypatch.setattr(os, "fsync", lambda number: events.append(os.fstat(number).st_ino))
    monkeypatch.setattr(os, "rename", lambda *paths: (events.append("renamed"), rename(*paths)))
    (tmp_path / "made" / "inner").mkdir(parents=True)
    (tmp_path / "made" / "inner" / "a").write_text("a")
    (tmp_path / "place").mkdir()
    move_whole(tmp_path / "made", tmp_path / "place" / "b")
    assert (tmp_path / "place" / "b" / "inner" / "a").read_text() == "a" and not (tmp_path / "made").exists()
    assert events == [(tmp_path / "place" / "b" / "inner" / "a").stat().st_ino, "renamed",
                      (tmp_path / "place").stat().st_ino]


def test_a_synced_file_has_its_name_on_the_disk_too_where_the_file_system_can(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode):
            asked.append(number)
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    asked: list[int] = []
    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "a", "a", sync=False)
    assert not asked
    write_atomically(tmp_path / "b", "b")
    assert len(asked) == 1 and (tmp_path / "b").read_text() == "b"
