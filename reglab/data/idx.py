"""The IDX format of MNIST and its family, raw or gzipped: http://yann.lecun.com/exdb/mnist."""

from __future__ import annotations

import math
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

from reglab.data.places import DataFile
from reglab.data.unpacking import FREELY, Growing, Unzipped, check_growth
from reglab.inputs.paths import Unusable
from reglab.inputs.texts import one_line, shown

_GZIP: Final = b"\x1f\x8b"
_UNSIGNED_BYTE: Final = 8


def read_idx(file: DataFile, ndim: int) -> npt.NDArray[np.uint8]:
    """Reads the array in an IDX file of unsigned bytes with `ndim` dimensions: uint8, read-only.

    The header is 0, 0, type, ndim and then each dimension as a big-endian 32-bit number. Whether the file is gzipped
    is decided by its first bytes, not by its name: browsers unpack files and keep the name. No more of a gzipped file
    is unpacked than its header declares.

    Raises:
      ConfigError: the file cannot be read, is not such a file, or its size is not what its header says.
    """
    with file.open() as raw:
        packed = raw.seek(0, 2)
        raw.seek(0)
        is_packed = raw.read(2) == _GZIP
        raw.seek(0)
        try:
            return _read(file, Growing(Unzipped(raw) if is_packed else raw, raw), packed, ndim,
                         None if is_packed else packed)
        except EOFError:
            raise file.damaged(f"is truncated: its gzip stream breaks off after {packed:,} bytes") from None
        except zlib.error as error:
            raise file.damaged(f"is corrupt gzip ({one_line(error, 120)})") from None
        except Unusable as error:
            raise file.damaged(f"cannot be unpacked ({error})") from None
        except OSError as error:
            raise file.unreadable(error) from None


def _read(file: DataFile, stream: Growing, packed: int, ndim: int, whole: int | None) -> npt.NDArray[np.uint8]:
    """Reads the array; `whole` is the size of a file that is not packed, else None."""
    header, magic = 4 + 4 * ndim, bytes([0, 0, _UNSIGNED_BYTE, ndim])
    head = stream.read_all(header)
    if len(head) < header or head[:4] != magic:
        if whole is None:
            stream.read_all(FREELY)  # Raises if the stream is broken too, which is the better message.
        if len(head) < header:
            raise file.damaged(f"is truncated: {len(head)} bytes, and the header alone has {header}")
        raise file.damaged(f"starts with {head[:4].hex(' ')}, not with {magic.hex(' ')}, which says unsigned bytes "
                           f"in {ndim} dimension{'s' if ndim > 1 else ''}")
    shape = tuple(np.frombuffer(head, ">u4", count=ndim, offset=4).tolist())
    size = header + math.prod(shape)
    if whole is None or whole == size:
        check_growth(size, packed)
        data = stream.read_all(size - header + 1)  # One byte more shows any excess, and verifies the checksum.
        if whole is None and header + len(data) > size:
            raise file.damaged(f"is too long: more than {size:,} bytes")
        whole = header + len(data)
    if whole != size:
        raise file.damaged(f"is {'truncated' if whole < size else 'too long'}: {whole:,} of {size:,} bytes")
    try:
        array = np.frombuffer(data, np.uint8).reshape(shape)
    except ValueError:  # NumPy limits the dimensions of empty arrays too.
        raise file.damaged(f"is of the shape {shown(shape)}, which no array has") from None
    array.flags.writeable = False
    return array

