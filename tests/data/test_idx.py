import gzip

import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.data.idx import read_idx
from reglab.data.places import DataFile

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
IDX = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + ARRAY.tobytes()


def read(folder, content, ndim=3):
    (folder / "images.gz").write_bytes(content)
    return read_idx(DataFile(str(folder), "images.gz"), ndim)


@pytest.mark.parametrize("content", [IDX, gzip.compress(IDX)], ids=["raw", "gzip"])
def test_it_reads_what_was_written(tmp_path, content):
    array = read(tmp_path, content)
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, ARRAY)


def test_labels_have_one_dimension(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, b"\0\0\x08\x01\0\0\0\x03\x07\x08\x09", ndim=1), [7, 8, 9])


PACKED = gzip.compress(np.random.RandomState(0).bytes(4000))
FLIPPED = bytearray(PACKED)
FLIPPED[2000] ^= 0xFF


@pytest.mark.parametrize("content, found", [
    (b"", "is truncated: 0 bytes, and the header alone has 16"),
    (IDX[:12], "is truncated: 12 bytes, and the header alone has 16"),
    (IDX[:-1], "is truncated: 39 of 40 bytes"),
    (IDX + b"x", "is too long: 41 of 40 bytes"),
    (gzip.compress(IDX[:-3]), "is truncated: 37 of 40 bytes"),
    (IDX[:4] + b"\xff" * 12 + IDX[16:], "is truncated: 40 of 79,228,162,458,924,105,385,300,197,391 bytes"),
    (IDX[:4] + b"\xff" * 8 + bytes(4), "is of the shape 4294967295,4294967295,0, which no array has"),
    (b"\0\0\x08\x01" + IDX[4:], "starts with 00 00 08 01, not with 00 00 08 03, which says unsigned bytes in 3 dim"),
    (b"\0\0\x0d\x03" + IDX[4:], "starts with 00 00 0d 03"),
    (b"<html>404 Not Found</html>", "starts with 3c 68 74 6d"),
    (PACKED[:50], "is truncated: its gzip stream breaks off after 50 bytes"),
    (PACKED[:3], "is truncated: its gzip stream breaks off after 3 bytes"),
    (bytes(FLIPPED), "is corrupt gzip ("),
    (b"\x1f\x8b\x00" + PACKED[3:], "is corrupt gzip ("),
], ids=["nothing", "half a header", "a byte short", "a byte more", "gzip of a part", "a huge shape",
        "a huge empty shape", "labels", "floats", "a web page", "gzip broken off", "gzip of 3 bytes",
        "gzip with a bit turned", "an unknown method"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, content, found):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, content)
    message = str(error.value)
    assert message.startswith(f"--data_dir={tmp_path}: images.gz {found}")
    assert message.endswith("; download it again") and "\n" not in message


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(ConfigError, match="images cannot be read .*check that it is a file"):
        read_idx(DataFile(str(tmp_path), "images"), 3)
