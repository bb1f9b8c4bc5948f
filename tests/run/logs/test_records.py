"""Records of an event file: a damaged one costs itself alone."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from reglab.run.logs.records import Records, framed, read_records
from reglab.storage.reading import Missing, Unreadable

DATA = [bytes([65 + i]) * (40 + i) for i in range(6)]
SIZES = [len(data) + 16 for data in DATA]
STARTS = [sum(SIZES[:i]) for i in range(6)]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    with open(tmp_path / "events", "wb") as file:
        writer = RecordWriter(file)
        for data in DATA:
            writer.write(data)
    return tmp_path / "events"


def edit(path: pathlib.Path, change: Callable[[bytearray], bytes | bytearray]) -> Records:
    path.write_bytes(change(bytearray(path.read_bytes())))
    return read_records(path)


def flip(at: int) -> Callable[[bytearray], bytearray]:
    def change(content: bytearray) -> bytearray:
        content[at] ^= 1
        return content
    return change


def without(*lost: int) -> list[bytes]:
    return [data for i, data in enumerate(DATA) if i not in lost]


def test_a_whole_file_is_read_whole(path: pathlib.Path) -> None:
    assert read_records(path) == Records(DATA, 0, False)


@pytest.mark.parametrize("record", range(6))
@pytest.mark.parametrize("place", ["length", "checksum of the length", "data", "checksum of the data"])
def test_a_bit_costs_its_record(path: pathlib.Path, record: int, place: str) -> None:
    start = STARTS[record]
    at = {"length": start, "checksum of the length": start + 9, "data": start + 20,
          "checksum of the data": start + SIZES[record] - 1}[place]
    found = edit(path, flip(at))
    assert found.whole == without(record)
    # Where the last record's length is damaged, nothing tells it from one that a kill tore.
    torn = record == 5 and "length" in place
    assert (found.damaged, found.torn) == (int(not torn), torn)


@pytest.mark.parametrize("cut", range(1, SIZES[5]))
def test_a_torn_end_is_told_from_damage(path: pathlib.Path, cut: int) -> None:
    assert edit(path, lambda content: content[:-cut]) == Records(DATA[:5], 0, True)


@pytest.mark.parametrize("edge", range(0, 60, 7))
def test_a_hole_costs_what_it_touches(path: pathlib.Path, edge: int) -> None:
    found = edit(path, lambda content: content[:STARTS[1] + edge] + content[STARTS[3] + edge:])
    assert found.whole == without(*((1, 2) if edge == 0 else (1, 2, 3)))
    assert found.damaged == (edge > 0)


@pytest.mark.parametrize("junk", [b"x", b"\0" * 5000, bytes(range(256)) * 9, b"\1\0\0\0\0\0\0\0" * 500])
def test_what_is_put_between_two_records_costs_nothing(path: pathlib.Path, junk: bytes) -> None:
    assert edit(path, lambda content: content[:STARTS[3]] + junk + content[STARTS[3]:]) == Records(DATA, 1, False)


@pytest.mark.parametrize(("content", "torn"), [(b"", False), (b"\0" * 999, True), (b"[1]", True)])
def test_a_file_without_a_record_has_none(path: pathlib.Path, content: bytes, torn: bool) -> None:
    assert edit(path, lambda _: content) == Records([], 0, torn)


def test_what_is_no_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Missing, match="is missing"):
        read_records(tmp_path / "nothing")
    with pytest.raises(Unreadable, match="is a folder"):
        read_records(tmp_path)


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 50])
def test_a_record_is_what_tensorflow_writes(data: bytes, tmp_path: pathlib.Path) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        writer.write(data)
    assert framed(data) == (tmp_path / "theirs").read_bytes()
