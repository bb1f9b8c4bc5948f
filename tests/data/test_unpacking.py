"""Files made to fill memory are refused by what they declare, or once they have grown too far."""

from __future__ import annotations

import gzip
import io
import os
import pathlib
import pickle
import struct
import tarfile
import time
import zipfile

import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.data import load, unpacking
from reglab.data.unpacking import Growing, Unzipped, check_growth
from reglab.data.unpickle import unpickle
from reglab.inputs.paths import Unusable


def npy(shape: object, dtype: str = "<f4", body: bytes = b"") -> bytes:
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def refused(path: pathlib.Path, x: bytes, compression: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(path / "mine.npz", "w", compression) as archive:
        archive.writestr("x_train.npy", x)
        archive.writestr("y_train.npy", npy((10,), "<i8", np.arange(10).tobytes()))
    with pytest.raises(ConfigError) as error:
        load(str(path / "mine.npz"))
    return str(error.value)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What any file may unpack to is a megabyte here."""
    monkeypatch.setattr(unpacking, "FREELY", 2**20)


@pytest.mark.parametrize(("x", "said"), [
    (npy((10**12, 4)), "x_train cannot be read (it declares 1000000000000,4 of float32, which is"),
    (npy((10, 4), body=bytes(159)), "x_train cannot be read (it declares 10,4 of float32"),
    (npy((-1, 4), body=bytes(160)), "it declares the shape -1,4"),
    (npy((10, 4), "|O", bytes(320)), "Object arrays cannot"),
    (npy((2**50, 4), "|S0"), "it holds elements of type"),
    (npy((10,), "(100,)<f4", bytes(4000)), "it holds elements of type"),
    (npy((0, 2**62)), "x_train"), (b"\x93NUMPY\x03\x00" + bytes(100), "version 3.0"),
    (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "x_train cannot be read"),
    (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 10**6, "x_train cannot be read"), (b"", "x_train cannot be read")])
def test_what_an_array_declares_must_fit(tmp_path: pathlib.Path, x: bytes, said: str) -> None:
    assert said in refused(tmp_path, x)


def test_an_array_that_grows_too_far_is_not_unpacked(tmp_path: pathlib.Path, small: None) -> None:
    said = refused(tmp_path, npy((10, 2**20), body=bytes(40 * 2**20)))
    assert "it cannot be read (it grows from " in said and "as no real data do" in said
    assert "packed in another way" in refused(tmp_path, npy((10, 4), body=bytes(160)), zipfile.ZIP_BZIP2)


def test_an_archive_of_very_many_files_is_refused(tmp_path: pathlib.Path) -> None:
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as archive:
        for i in range(20_000):
            archive.writestr(f"member{i:06}", "")
    with pytest.raises(ConfigError, match="its list of contents is longer"):
        load(str(tmp_path / "mine.npz"))


@pytest.mark.parametrize("target", ["/dev/zero", "pipe"])
def test_what_has_no_end_is_no_data_set(tmp_path: pathlib.Path, target: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "mine.npz").symlink_to(target)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / name).symlink_to(target)
    for dataset in (str(tmp_path / "mine.npz"), "mnist"):
        with pytest.raises(ConfigError, match="it is a pipe or device"):
            load(dataset, data_dir=tmp_path)


def idx_refused(folder: pathlib.Path, images: int, zeros: int) -> str:
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", images, 28, 28)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + bytes(zeros)))
    (folder / "train-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(ConfigError) as error:
        load("mnist", data_dir=folder)
    return str(error.value)


def test_a_gzipped_idx_file_is_unpacked_no_further_than_its_header_says(tmp_path: pathlib.Path, small: None) -> None:
    assert "is too long: more than 800 bytes" in idx_refused(tmp_path, 1, 8 * 2**20)
    assert "cannot be unpacked (it grows from " in idx_refused(tmp_path, 10_000, 10_000 * 784)
    assert "cannot be unpacked (it unpacks to " in idx_refused(tmp_path, 2**32 - 1, 0)


def test_a_tar_archive_that_grows_too_far_is_refused(tmp_path: pathlib.Path, small: None) -> None:
    for content, count, said in ((bytes(8 * 2**20), 1, "it grows from "),
    (b"", 1001, "more or larger files than CIFAR")):
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
            for i in range(count):
                member = tarfile.TarInfo(f"other{i}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        with pytest.raises(ConfigError, match=said):
            load("cifar10", data_dir=tmp_path)


def test_growth_is_judged_by_size_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    check_growth(unpacking.FREELY, 0)
    check_growth(unpacking.FREELY + 1, unpacking.FREELY // unpacking.MOST_RATIO + 1)
    with pytest.raises(Unusable, match="more than 200 times"):
        check_growth(unpacking.FREELY + 1, 100)
    monkeypatch.setattr(unpacking, "available_memory", lambda: unpacking.FREELY)
    with pytest.raises(Unusable, match="of memory are free"):
        check_growth(unpacking.FREELY + 1, unpacking.FREELY)


def test_a_stream_is_judged_while_it_grows(small: None) -> None:
    packed = io.BytesIO(gzip.compress(bytes(2**24)))
    growing = Growing(gzip.GzipFile(fileobj=packed), packed)
    assert growing.read_all(2**19) == bytes(2**19)
    with pytest.raises(Unusable, match="it grows from "):
        growing.read_all(2**24)


@pytest.mark.parametrize("pieces", [1, 3, 10_000])
def test_gzip_files_in_a_row_are_one(pieces: int) -> None:
    content = os.urandom(20_000)
    size = -(-len(content) // pieces)
    packed = io.BytesIO(b"".join(gzip.compress(content[at:at + size]) for at in range(0, len(content), size)))
    packed.seek(0, io.SEEK_END)
    packed.write(bytes(9))
    packed.seek(0)
    assert gzip.decompress(packed.getvalue()) == content
    assert Growing(Unzipped(packed), packed).read_all(10**6) == content


def test_a_million_empty_gzip_files_take_no_time(tmp_path: pathlib.Path) -> None:
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "cifar-10-python.tar.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"") * 10**6)
    for dataset in ("mnist", "cifar10"):
        began = time.thread_time()
        with pytest.raises(ConfigError, match="more than 10,000 gzip files in a row"):
            load(dataset, data_dir=tmp_path)
        assert time.thread_time() - began < 1


def test_a_header_of_very_many_facts_is_not_read(tmp_path: pathlib.Path) -> None:
    facts = b"".join(b"20 key%07d=value\n" % number for number in range(1000))
    with open(tmp_path / "cifar-10-python.tar.gz", "wb") as file:
        for kind in (b"x", b"g", b"L", b"K"):
            header = tarfile.TarInfo("facts")
            header.type, header.size = kind, len(facts)
            file.seek(0)
            file.write(header.tobuf(tarfile.GNU_FORMAT) + facts + bytes(-len(facts) % 512 + 1024))
            file.flush()
            with pytest.raises(ConfigError, match="a header that is longer than any of CIFAR"):
                load("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize(("data", "said"), [
    (b"\x80\x02}K\x01" + b"2\x86" * 100 + b"K\x01s.", "mapping from something else than texts"),  # Hashed for ever.
    (b"\x80\x02N" + b"r\xff\xff\xff\x7f" + b"0" * 9 + b".", "Error"),  # A memo of 2^31 places, in C.
    (b"\x80\x02(" + b"N" * 2 * 10**6, "more parts than any file of CIFAR"),
    (b"\x80\x04\x8f.", "KeyError|invalid|Error")])
def test_a_pickle_takes_neither_time_nor_memory(data: bytes, said: str) -> None:
    with pytest.raises(pickle.UnpicklingError, match=said):
        unpickle(data)
