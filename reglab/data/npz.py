"""Arrays from an .npz file: a zip archive with one .npy file per array.

NumPy's own reader allocates what a header declares before it looks at the data. Here, before anything
is unpacked, the declared type, shape and size of every array must agree with each other, the file and the memory.
"""

from __future__ import annotations

import io
import math
import os
import warnings
import zipfile
from typing import IO, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from reglab.config import ConfigError
from reglab.data.unpacking import check_growth
from reglab.inputs.paths import Unusable, open_regular
from reglab.inputs.texts import one_line, shown

ARRAY_NAMES: Final = ("x_train", "y_train", "x_test", "y_test")
_MOST_HEADER: Final = 2**14  # NumPy itself takes 10,000 characters.
_MOST_DIRECTORY: Final = 2**20
_FIX: Final = "write the file again with numpy.savez(path, x_train=…, y_train=…), numbers only"


class _Header(NamedTuple):
    """What a .npy file declares, and the length of its header in bytes."""

    shape: tuple[int, ...]
    column_order: bool
    dtype: np.dtype[Any]
    length: int


def read_npz(path: str) -> dict[str, npt.NDArray[Any]]:
    """Reads those of x_train, y_train, x_test and y_test that the file holds. Pickled objects are refused.

    Raises:
      ConfigError: the file cannot be read, is not an .npz file, or one of these arrays cannot be read.
    """
    flag, reading = f"--dataset={shown(path)}", "it"
    try:
        with open_regular(os.path.expanduser(path)) as file:
            if file.read(6) == b"\x93NUMPY":
                raise ConfigError(f"{flag} holds a single array, not an .npz archive; write it with "
                                  "numpy.savez(path, x_train=…, y_train=…)")
            with _Sparing(file) as sparing, zipfile.ZipFile(sparing) as archive:
                sparing.left = None
                members = {name: archive.getinfo(f"{name}.npy") for name in ARRAY_NAMES
                           if f"{name}.npy" in archive.NameToInfo}
                headers = {}
                for reading, member in members.items():
                    headers[reading] = _read_header(archive, member)
                reading = "it"
                check_growth(sum(member.file_size for member in members.values()),
                             sum(member.compress_size for member in members.values()))
                arrays = {}
                for reading, member in members.items():
                    arrays[reading] = _read_array(archive, member, headers[reading])
                return arrays
    except ConfigError:
        raise
    except FileNotFoundError:
        raise ConfigError(f"{flag}: there is no such file; give the path of an .npz file, or the name of a data set"
                          ) from None
    except Exception as error:  # A damaged zip or array header raises one of a dozen types.
        raise ConfigError(f"{flag}: {reading} cannot be read ({one_line(error, 160)}); {_FIX}") from None


class _Sparing(io.RawIOBase):
    """A file of which at most `left` more bytes may be read; None means no limit."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.left: int | None = _MOST_DIRECTORY

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of the file."""
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """Reads from the file.

        Raises:
          Unusable: more than `left` bytes would be read.
        """
        if self.left is None:
            return self._file.read(size)
        data = self._file.read(self.left + 1 if size < 0 else min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise Unusable("its list of contents is longer than that of any file with four arrays")
        return data


def _read_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Header:
    """Reads the header of an array.

    Raises:
      ValueError: the member is not an array of numbers of the size that it declares.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is packed in another way than NumPy does")
    with archive.open(member) as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of files from Python 2, Python of odd literals.
        start = io.BytesIO(packed.read(_MOST_HEADER))
        version = npy.read_magic(start)
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"version {version[0]}.{version[1]} of the format is not known")
        shape, column_order, dtype = readers[version](start)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded, they would run code")
    if dtype.names or dtype.subdtype or not dtype.itemsize:
        raise ValueError(f"it holds elements of type {shown(str(dtype), 60)}")
    if any(length < 0 for length in shape) or len(shape) > 32:
        raise ValueError(f"it declares the shape {shown(shape, 60)}")
    expected = start.tell() + math.prod(shape) * dtype.itemsize
    if expected != member.file_size:
        raise ValueError(f"it declares {shown(shape, 60)} of {dtype}, which is {shown(expected, 40)} bytes, but holds "
                         f"{member.file_size:,}")
    return _Header(shape, column_order, dtype, start.tell())


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: _Header) -> npt.NDArray[Any]:
    flat = np.empty(math.prod(header.shape), header.dtype)
    content, at = flat.view(np.uint8), 0
    with archive.open(member) as packed:
        packed.read(header.length)
        while data := packed.read(2**20):  # To the end, where the checksum is verified.
            content[at:at + len(data)] = np.frombuffer(data, np.uint8)
            at += len(data)
    return flat.reshape(header.shape, order="F" if header.column_order else "C")
