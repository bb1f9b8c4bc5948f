"""Reads event files record by record: every whole record is read, however much before it is damaged.

A record is its length (8 bytes, little-endian), a checksum of the length (4), the data, and a checksum of the data (4).
"""

from __future__ import annotations

import pathlib
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from reglab.storage.reading import read_bytes

_HEADER: Final = 12
_FOOTER: Final = 4


class Records(NamedTuple):
    """The contents of a file.

    Attributes:
      whole: the data of each record whose checksums are right, in order.
      damaged: how many damaged places lie between them.
      torn: whether the file ends in something that is not a whole record, as a kill in the middle of a write leaves it.
    """

    whole: list[bytes]
    damaged: int
    torn: bool


def read_records(path: pathlib.Path) -> Records:
    """Reads every whole record of a file.

    Raises:
      Unreadable: the file cannot be read.
    """
    content = read_bytes(path)
    if _is_chain(content):  # TensorFlow's reader checks the data much faster, but stops at the first bad record.
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
        whole = list(RawEventFileLoader(str(path)).Load())
        if sum(_HEADER + len(data) + _FOOTER for data in whole) == len(content):
            return Records(whole, 0, False)
    return _scan(content)


def framed(data: bytes) -> bytes:
    """Returns the record that holds these data. Importing TensorBoard's own writer would take 0.2 s."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, struct.pack("<I", masked_crc32c(length)), data, struct.pack("<I", masked_crc32c(data))))


def _scan(content: bytes) -> Records:
    whole: list[bytes] = []
    damaged = at = 0
    while at < len(content):
        data = _data_at(content, at)
        if data is None:
            following = _next_after_damage(content, at)
            if following is None:
                return Records(whole, damaged, True)
            damaged += 1
            at = following
        else:
            whole.append(data)
            at += _HEADER + len(data) + _FOOTER
    return Records(whole, damaged, False)


def _is_chain(content: bytes) -> bool:
    """Returns whether each record begins where the one before it ends, and the last ends with the file."""
    at = 0
    while at < len(content):
        length = _length_at(content, at)
        if length is None:
            return False
        at += _HEADER + length + _FOOTER
    return True


def _length_at(content: bytes, at: int) -> int | None:
    """Returns the length of the data of the record at `at`, or None if no record that fits in the file begins there."""
    header = content[at:at + _HEADER]
    if len(header) < _HEADER:
        return None
    length, checksum = struct.unpack("<QI", header)
    if at + _HEADER + length + _FOOTER > len(content) or masked_crc32c(header[:8]) != checksum:
        return None
    return int(length)


def _data_at(content: bytes, at: int) -> bytes | None:
    length = _length_at(content, at)
    if length is None:
        return None
    data = content[at + _HEADER:at + _HEADER + length]
    (checksum,) = struct.unpack_from("<I", content, at + _HEADER + length)
    return data if masked_crc32c(data) == checksum else None


def _next_after_damage(content: bytes, at: int) -> int | None:
    """Returns where the next record begins, or the file's end after the last record; None if no more can be read."""
    length = _length_at(content, at)
    if length is not None:  # Only the data are damaged, unless some are missing together with the next record's start.
        end = at + _HEADER + length + _FOOTER
        if end == len(content) or _length_at(content, end) is not None:
            return end
    return next((place for place in _likely_places(content, at + 1) if _length_at(content, place) is not None), None)


def _likely_places(content: bytes, start: int) -> Iterator[int]:
    """Yields the places of a possible length of a record: not 0, and less than 4 GiB. Its checksum decides."""
    bytes_ = np.frombuffer(content, np.uint8)[start:]
    count = len(bytes_) - _HEADER - _FOOTER
    if count > 0:
        low, high = (np.any([bytes_[i:i + count] for i in places], axis=0) for places in (range(4), range(4, 8)))
        yield from (np.flatnonzero(low & ~high) + start).tolist()
