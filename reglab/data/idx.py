"""The IDX format of MNIST and its family, raw or gzipped: http://yann.lecun.com/exdb/mnist."""

from __future__ import annotations

import gzip
import math
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

from reglab.data.places import DataFile

_GZIP: Final = b"\x1f\x8b"
_UNSIGNED_BYTE: Final = 8


def read_idx(file: DataFile, ndim: int) -> npt.NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes with `ndim` dimensions: uint8, read-only.

    The header is 0, 0, type, ndim and then each dimension as a big-endian 32-bit number. Whether the file is gzipped
    is seen from its first bytes, not from its name: browsers unpack files and keep the name.

    Raises:
      ConfigError: the file cannot be read, is not such a file, or its size is not what its header says.
    """
    data = _unpacked(file)
    header, magic = 4 + 4 * ndim, bytes([0, 0, _UNSIGNED_BYTE, ndim])
    if len(data) < header:
        raise file.damaged(f"is truncated: {len(data)} bytes, and the header alone has {header}")
    if data[:4] != magic:
        raise file.damaged(f"starts with {data[:4].hex(' ')}, not with {magic.hex(' ')}, which says unsigned bytes "
                           f"in {ndim} dimension{'s' if ndim > 1 else ''}")
    shape = tuple(np.frombuffer(data, ">u4", count=ndim, offset=4).tolist())
    size = header + math.prod(shape)
    if len(data) != size:
        what = "truncated" if len(data) < size else "too long"
        raise file.damaged(f"is {what}: {len(data):,} of {size:,} bytes")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _unpacked(file: DataFile) -> bytes:
    data = file.read()
    if not data.startswith(_GZIP):
        return data
    try:
        return gzip.decompress(data)
    except EOFError:
        raise file.damaged(f"is truncated: its gzip stream breaks off after {len(data):,} bytes") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise file.damaged(f"is corrupt gzip ({error})") from None
