"""Paths and files that cannot be used are told before they are touched."""

from __future__ import annotations

import os
import pathlib

import pytest

from reglab.inputs.paths import Unusable, check_path, check_text, open_regular, place_of, read_regular


@pytest.mark.parametrize("path", ["runs/a", "/x", "~/x", "", "a b", "Größe", "./gs://x", "C:x", "a:/b", "://x"])
def test_paths(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(("path", "why"), [
    ("gs://b/x", "gs:// is not supported"), ("S3://b", "S3://"), ("file:///x", "file://"), ("http://x/y.npz", "http://"),
    ("a\nb", r"control character \\n"), ("a\0b", r"control character \\x00"), ("a\udcffb", "no text in UTF-8"),
    ("a\x9b", "control character"), ("\u2028", "control character"), ("x" * 4097, "4,097 characters")])
def test_no_paths(path: str, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        check_path(path)


def test_a_text_may_hold_an_address() -> None:
    check_text("gs://x")


def test_a_file_is_read_to_its_bound(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 5) == b"12345"
    with pytest.raises(Unusable, match="it has 5 bytes, and at most 4 are read"):
        read_regular(tmp_path / "file", 4)


def test_what_has_no_end_is_not_read(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # Nobody writes into it: opened in the plain way, it would wait for ever.
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(Unusable, match="it is a pipe or device, not a file"):
            open_regular(tmp_path / name)
    with pytest.raises(Unusable, match="it is a folder"):
        open_regular(tmp_path)
    with pytest.raises(Unusable, match="null byte"):
        open_regular("a\0b")
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="there is no /proc here")
def test_a_file_that_says_it_is_empty_is_bounded_too() -> None:
    with pytest.raises(Unusable, match="it has more than 10 bytes"):
        read_regular("/proc/self/maps", 10)


def test_where_a_path_is(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place_of("~/none/x") == tmp_path / "none" / "x"
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    assert place_of(str(tmp_path / "file" / "x")) == tmp_path / "file" / "x"
    for path, why in (("~no_such_user/x", "home directory"), (str(tmp_path / "loop"), "symbolic links"),
                      (str(tmp_path / "loop" / "x"), "symbolic links"), ("x" * 300, "too long"), ("a\0b", "null byte")):
        with pytest.raises(Unusable, match=why):
            place_of(path)
