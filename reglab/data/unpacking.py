"""Unpacking files that may be made to fill memory: declared sizes are judged before, real ones meanwhile."""

from __future__ import annotations

import io
import zlib
from typing import IO, Any, Final

from reglab.config.memory import available_memory
from reglab.inputs.paths import Unusable

FREELY: Final = 2**24
"""Bytes that any file may unpack to."""
MOST_RATIO: Final = 200
"""Beyond these, how many times its size a file may grow. Images grow to some 5 times; a bomb to 1,000 or more."""
_CHUNK: Final = 2**20
_PIECE: Final = 2**16
_MOST_MEMBERS: Final = 10_000
_GZIP: Final = 16 + zlib.MAX_WBITS


def check_growth(unpacked: int, packed: int) -> None:
    """Raises:
      Unusable: so many bytes are more than memory, or more than real data of that packed size unpack to.
    """
    if unpacked <= FREELY:
        return
    if unpacked > (free := available_memory()):
        raise Unusable(f"it unpacks to {unpacked:,} bytes, and {free:,} of memory are free")
    if unpacked > MOST_RATIO * packed:
        raise Unusable(f"it grows from {packed:,} to {unpacked:,} bytes or more when unpacked, more than "
                       f"{MOST_RATIO} times, as no real data do")


class Unzipped:
    """What a gzip file unpacks to, read from front to back.

    Unlike `gzip.GzipFile` it bounds how many such files may stand one after the other, as the format allows: a million
    empty ones unpack to nothing, and take their time.
    """

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed, self._pending, self._members = packed, b"", 0
        self._stream: Any = None

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end.

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
                self._pending = self._pending.lstrip(b"\0")  # Tapes are filled up with zeros.
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
    """What a packed file unpacks to, checked while it grows.

    Args:
      unpacked: the stream of unpacked bytes.
      packed: the file below it, which tells how far it has been read.
    """

    def __init__(self, unpacked: Any, packed: IO[bytes]) -> None:
        super().__init__()
        self._unpacked, self._packed, self._count = unpacked, packed, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, of a chunk at most.

        Raises:
          Unusable: there are too many.
        """
        data: bytes = self._unpacked.read(_CHUNK if size < 0 else min(size, _CHUNK))
        self._count += len(data)
        check_growth(self._count, self._packed.tell())
        return data

    def read_all(self, most: int) -> bytearray:
        """All bytes up to `most` of them."""
        found = bytearray()
        while len(found) < most and (data := self.read(most - len(found))):
            found += data
        return found
