"""Unpacks files that may be made to fill memory: declared sizes are checked before, actual sizes during unpacking."""

from __future__ import annotations

import io
import zlib
from typing import IO, Any, Final

from reglab.config.memory import available_memory
from reglab.inputs.paths import Unusable

FREELY: Final = 2**24
"""The bytes that any file may unpack to, whatever its own size."""
MOST_RATIO: Final = 200
"""The factor by which a file that unpacks to more may grow. Images grow about 5 times, bombs 1,000 times or more."""
_CHUNK: Final = 2**20
_PIECE: Final = 2**16
_MOST_MEMBERS: Final = 10_000
_GZIP: Final = 16 + zlib.MAX_WBITS


def check_growth(unpacked: int, packed: int) -> None:
    """Checks a number of unpacked bytes.

    Raises:
      Unusable: they exceed the memory, or what real data of that packed size unpack to.
    """
    if unpacked <= FREELY:
        return
    if unpacked > (free := available_memory()):
        raise Unusable(f"it unpacks to {unpacked:,} bytes, and {free:,} of memory are free")
    if unpacked > MOST_RATIO * packed:
        raise Unusable(f"it grows from {packed:,} to {unpacked:,} bytes or more when unpacked, more than "
                       f"{MOST_RATIO} times, as no real data do")


class Unzipped:
    """The unpacked content of a gzip file, read from front to back.

    The format allows any number of gzip files in a row. Unlike `gzip.GzipFile`, this class bounds it: a million empty
    ones unpack to nothing but take a long time.
    """

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed, self._pending, self._members = packed, b"", 0
        self._stream: Any = None

    def read(self, size: int) -> bytes:
        """Reads at most `size` bytes, and none at the end.

        Raises:
          EOFError: the file breaks off.
          zlib.error: it is damaged.
          Unusable: there are too many files in it.
        """
        while size > 0:
            self._pending = self._pending or self._packed.read(_PIECE)
            if not self._pending and self._stream is not None:
                raise EOFError
            if not self._pending:
                break
            if self._stream is None and self._members:
                self._pending = self._pending.lstrip(b"\0")  # Tapes are padded with zeros.
            if self._pending and (data := self._unpacked(size)):
                return data
        return b""

    def _unpacked(self, size: int) -> bytes:
        if self._stream is None:
            self._stream, self._members = zlib.decompressobj(_GZIP), self._members + 1
            if self._members > _MOST_MEMBERS:
                raise Unusable(f"it is more than {_MOST_MEMBERS:,} gzip files in a row")
        data: bytes = self._stream.decompress(self._pending, size)
        self._pending = self._stream.unconsumed_tail
        if self._stream.eof:
            self._pending, self._stream = self._stream.unused_data, None
        return data


class Growing(io.RawIOBase):
    """The unpacked content of a packed file, whose size is checked as it grows.

    Args:
      unpacked: the stream of unpacked bytes.
      packed: the underlying file, whose position is the number of packed bytes read so far.
    """

    def __init__(self, unpacked: Any, packed: IO[bytes]) -> None:
        super().__init__()
        self._unpacked, self._packed, self._count = unpacked, packed, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Reads at most `size` bytes, and at most one chunk.

        Raises:
          Unusable: the content has grown too large.
        """
        data: bytes = self._unpacked.read(_CHUNK if size < 0 else min(size, _CHUNK))
        self._count += len(data)
        check_growth(self._count, self._packed.tell())
        return data

    def read_all(self, most: int) -> bytearray:
        """Reads all remaining bytes, up to `most` of them.

        Raises:
          Unusable: the content has grown too large.
        """
        found = bytearray()
        while len(found) < most and (data := self.read(most - len(found))):
            found += data
        return found
