"""The ways to damage a file or a folder."""

from __future__ import annotations

import os
import pathlib
import random
import re
import shutil
from collections.abc import Callable, Mapping
from typing import Final

from tests.faults.trees import remove

Way = Callable[[pathlib.Path, random.Random], object]


def _cut(keep: Callable[[int], int]) -> Way:
    return lambda path, rng: os.truncate(path, keep(path.stat().st_size))


def _rewrite(change: Callable[[bytes, random.Random], bytes]) -> Way:
    return lambda path, rng: path.write_bytes(change(path.read_bytes(), rng))


def _replace(put: Callable[[pathlib.Path], object]) -> Way:
    def way(path: pathlib.Path, rng: random.Random) -> None:
        remove(path)
        put(path)
    return way


def _flip(low: float, high: float) -> Way:
    def change(data: bytes, rng: random.Random) -> bytes:
        if not data:
            return b"\1"
        at = min(len(data) - 1, int(len(data) * rng.uniform(low, high)))
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]
    return _rewrite(change)


def _other_number(data: bytes, rng: random.Random) -> bytes:
    """One digit of one number in a text becomes another: it still parses."""
    places = [match.start() for match in re.finditer(rb"(?<=[:\[, ])\d", data)]
    if not places:
        return data + b"1"
    at = rng.choice(places)
    return data[:at] + str((int(data[at:at + 1]) + 3) % 9 + 1).encode() + data[at + 1:]


def _make_folder(path: pathlib.Path) -> None:
    path.mkdir()
    (path / "inside").write_text("a folder where a file should be\n")


ANY_FILE: Final[Mapping[str, Way]] = {
    "removed": lambda path, rng: path.unlink(),
    "emptied": _cut(lambda size: 0),
    "halved": _cut(lambda size: size // 2),
    "last byte gone": _cut(lambda size: max(size - 1, 0)),
    "bit flipped early": _flip(0, 0.1),
    "bit flipped": _flip(0.1, 0.9),
    "bit flipped late": _flip(0.9, 1),
    "random bytes": _rewrite(lambda data, rng: rng.randbytes(max(len(data), 16))),
    "zero bytes": _rewrite(lambda data, rng: bytes(max(len(data), 16))),
    "garbage appended": _rewrite(lambda data, rng: data + rng.randbytes(99)),
    "a folder instead": _replace(_make_folder),
    "a dangling link instead": _replace(lambda path: path.symlink_to("nowhere")),
    "a link to itself instead": _replace(lambda path: path.symlink_to(path.name)),
    "a pipe instead": _replace(lambda path: os.mkfifo(path)),
}
JSON_FILE: Final[Mapping[str, Way]] = {
    "a list instead": _rewrite(lambda data, rng: b"[1, 2]\n"),
    "a number instead": _rewrite(lambda data, rng: b"7\n"),
    "null instead": _rewrite(lambda data, rng: b"null\n"),
    "an empty object instead": _rewrite(lambda data, rng: b"{}\n"),
    "deep JSON": _rewrite(lambda data, rng: b"[" * 200_000),
    "a number of 5,000 digits": _rewrite(lambda data, rng: re.sub(rb"(?<=[:\[, ])\d+", b"9" * 5000, data, count=1)),
    "another number": _rewrite(_other_number),
    "values of other types": _rewrite(lambda data, rng: re.sub(rb'("\w+": )[^\n{\[,]+', rb'\1{"a": [null]}', data)),
}
FOLDER: Final[Mapping[str, Way]] = {
    "removed": lambda path, rng: shutil.rmtree(path),
    "emptied": lambda path, rng: [remove(inside) for inside in path.iterdir()],
    "a file instead": _replace(lambda path: path.write_text("a file where a folder should be\n")),
    "a dangling link instead": _replace(lambda path: path.symlink_to("nowhere")),
}
UNREADABLE: Final = "unreadable"


def make_unreadable(path: pathlib.Path, rng: random.Random) -> None:
    """Takes all permissions away; only means something to a user who is not root."""
    path.chmod(0)


def ways_of(path: pathlib.Path) -> dict[str, Way]:
    """The ways that suit what stands at a path."""
    if path.is_dir():
        return {**FOLDER, UNREADABLE: make_unreadable}
    more = JSON_FILE if path.suffix in (".json", ".jsonl") else {}
    return {**ANY_FILE, **more, UNREADABLE: make_unreadable}
