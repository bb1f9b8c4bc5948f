"""A file is whole or absent, and nothing is left beside it."""

from __future__ import annotations

import pathlib
from typing import IO

import pytest

from reglab.files import write_atomically


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
