"""Files of data and arrays, from whole ones with some bytes changed to those made to harm."""

from __future__ import annotations

import gzip
import io
import pathlib
import pickle
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reglab.config import ConfigError
from reglab.data import Dataset, from_arrays, load
from reglab.data.cifar import load_cifar
from reglab.data.idx import read_idx
from reglab.data.places import DataFile
from reglab.data.unpickle import unpickle

Survives = Callable[..., Any]
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
X, Y = np.arange(40, dtype=np.uint8).reshape(10, 4), np.arange(10) % 3


def damaged(*wholes: bytes) -> st.SearchStrategy[bytes]:
    """Some of `wholes` with a few bytes changed, taken out or put in, or cut off."""
    def damage(whole: bytes, changes: list[tuple[int, bytes]], cut: int) -> bytes:
        content = bytearray(whole)
        for at, new in changes:
            at %= len(content) + 1
            content[at:at + len(new) % 5] = new
        return bytes(content[:len(content) - cut] if cut else content)

    changes = st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=8)), max_size=4)
    return st.builds(damage, st.sampled_from(wholes), changes, st.one_of(st.just(0), st.integers(0, 300)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pathlib.Path]:
    path = tmp_path_factory.mktemp("fuzz")
    yield path
    shutil.rmtree(path)


def npz(save: Callable[..., None] = np.savez, **arrays: Any) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


HUGE = st.one_of(st.integers(0, 12), st.sampled_from([-1, 2**31, 2**40, 2**62, 2**63, 2**64, 10**30]))
SHAPES = st.lists(HUGE, max_size=5).map(tuple)
TYPES = st.one_of(st.sampled_from(["<f4", "|u1", "<i8", "|O", "|V0", "|S0", "<U3", "<c16", "<f2", "<M8[s]", "(3,)<f4",
                                   "(1000000,)<f4", "|b1"]), st.text(max_size=8),
                  st.just([("a", "<f4"), ("b", "|O")]))


def member(shape: Any, dtype: Any, column_order: Any, version: int, zeros: int, *, length: int | None = None) -> bytes:
    header = repr({"descr": dtype, "fortran_order": column_order, "shape": shape}).encode(errors="replace") + b"\n"
    size = len(header) if length is None else length
    packed = struct.pack("<H" if version == 1 else "<I", min(size, 65535))
    return b"\x93NUMPY" + bytes([version, 0]) + packed + header + bytes(zeros)


MEMBERS = st.one_of(
    st.builds(member, SHAPES, TYPES, st.one_of(st.booleans(), st.none()), st.integers(1, 3), st.integers(0, 400),
              length=st.one_of(st.none(), st.none(), st.integers(0, 70_000))),
    st.builds(lambda c, n: b"\x93NUMPY\x01\x00\xff\xff" + c * n, st.sampled_from([b"(", b"[", b"0", b" ", b"1_"]),
              st.integers(0, 70_000)),
    st.builds(lambda shape: member(shape, "<f4", False, 1, 4 * shape[0] * shape[1]),
              st.tuples(st.integers(0, 20), st.integers(0, 5))),
    st.integers(1, 20).map(lambda n: member((n,), "<i8", False, 1, 8 * n)))


def archive(members: dict[str, bytes], compression: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return file.getvalue()


ARCHIVES = st.builds(archive, st.dictionaries(st.sampled_from(
    ["x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy", "x_train", "../x_train.npy"]), MEMBERS, max_size=4),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]))
NPZ = st.one_of(
    ARCHIVES, ARCHIVES, st.binary(max_size=100),
    damaged(npz(x_train=X, y_train=Y), npz(np.savez_compressed, x_train=X, y_train=Y, x_test=X[:3], y_test=Y[:3]),
            npz(x_train=np.asfortranarray(X).astype(np.float64), y_train=Y), npz(x_train=X[:0], y_train=Y[:0])))


@given(content=NPZ)
def test_npz(content: bytes, survives: Survives, folder: pathlib.Path) -> None:
    (folder / "fuzzed.npz").write_bytes(content)
    made = survives(lambda: load(str(folder / "fuzzed.npz")))
    assert made is None or (isinstance(made, Dataset) and len(made.train) > 0)


TEXTS = ["u,v,label\n1,2.5,a\n3,-1e9,b\n" * 2, "u;v\n1;0\n2;1\n", "\ufeffu\tv\n1\t0\n", "a,b,c\n,,\n"]
CELLS = st.one_of(st.sampled_from(["", "1", "-0.5", "1e999", "nan", "NA", "inf", "x", '"', '"a,b"', "\x00", "True",
                                   "1_0", "\u2028", "\x1b[2J", "9" * 400, "=1+1", "2026-01-01",
                                   "None"]), st.text(max_size=4))
TABLES = st.one_of(
    damaged(*(text.encode() for text in TEXTS)), st.binary(max_size=200),
    st.builds(lambda separator, rows: "\n".join(map(separator.join, rows)).encode(errors="replace"),
              st.sampled_from([",", ";", "\t"]), st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=6)),
    st.builds(lambda names, n: f"{','.join(names)}\n{('1,' * (len(names) - 1) + '0' + chr(10)) * n}".encode(
        errors="replace"), st.lists(CELLS, min_size=1, max_size=5), st.integers(0, 5)))


@given(content=TABLES, label=st.one_of(st.none(), st.none(), st.sampled_from(["u", "label", "v"])))
def test_csv(content: bytes, label: str | None, survives: Survives, folder: pathlib.Path) -> None:
    (folder / "fuzzed.csv").write_bytes(content)
    made = survives(lambda: load(str(folder / "fuzzed.csv"), label_column=label, validation_split=0.5, test_split=0))
    assert made is None or (isinstance(made, Dataset) and len(made.train) > 0 and np.isfinite(made.train.x).all())


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pandas.DataFrame(columns).to_parquet(file, index=False)
    return file.getvalue()


@given(content=damaged(parquet(u=[1, 2, 3, 4], v=[0.5, None, 2.5, 1.0], y=["a", "b", "a", "b"]),
                       parquet(u=[True, False] * 3, y=[1, 2] * 3)))
def test_parquet(content: bytes, survives: Survives, folder: pathlib.Path) -> None:
    (folder / "fuzzed.parquet").write_bytes(content)
    made = survives(lambda: load(str(folder / "fuzzed.parquet"), validation_split=0.5, test_split=0))
    assert made is None or (isinstance(made, Dataset) and len(made.train) > 0)


def idx(dimensions: list[int], body: bytes, magic: bytes = b"\0\0\x08") -> bytes:
    return magic + bytes([len(dimensions) % 256]) + b"".join(
        struct.pack(">I", length) for length in dimensions) + body


LENGTHS = st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1), st.sampled_from([0, 2**31, 2**32 - 1]))
INDEXED = st.one_of(
    st.builds(idx, st.lists(LENGTHS, max_size=4), st.one_of(st.binary(max_size=100), st.integers(0, 10**6).map(bytes)),
              st.sampled_from([b"\0\0\x08", b"\0\0\x0d", b"\x1f\x8b\x08"])),
    st.builds(lambda n, extra: idx([n, 3, 4], bytes(12 * n + extra)), st.integers(0, 9), st.integers(0, 2)))
IDX = st.one_of(INDEXED, INDEXED.map(gzip.compress), st.binary(max_size=100).map(lambda data: b"\x1f\x8b\x08" + data),
                damaged(idx([2, 3, 4], X.tobytes()[:24]), gzip.compress(idx([2, 3, 4], X.tobytes()[:24]))))


@given(content=IDX, ndim=st.sampled_from([1, 3]))
def test_idx(content: bytes, ndim: int, survives: Survives, folder: pathlib.Path) -> None:
    (folder / "fuzzed.gz").write_bytes(content)
    made = survives(lambda: read_idx(DataFile(str(folder), "fuzzed.gz"), ndim))
    assert made is None or made.ndim == ndim


PIXELS = np.arange(2 * 3072, dtype=np.uint64).astype(np.uint8).reshape(2, 3072)
BATCH = {b"data": PIXELS, b"labels": [1, 2], b"filenames": [b"a", b"b"]}
PICKLES = [pickle.dumps(BATCH, protocol=protocol) for protocol in (0, 2, 4, 5)]
OPERATIONS = [b"(", b".", b"0", b"1", b"2", b"N", b"}", b"]", b")", b"t", b"l", b"d", b"s", b"u", b"a", b"e", b"R",
              b"b", b"o", b"\x85", b"\x86", b"\x87", b"\x81", b"\x88", b"\x8f", b"\x90", b"\x91", b"\x94", b"\x93",
              b"q\x00",
              b"h\x00", b"r\xff\xff\xff\x7f", b"j\xff\xff\xff\x7f", b"K\x01", b"J\xff\xff\xff\xff", b"U\x01a",
              b"C\x02u1",
              b"X\xff\xff\xff\xff", b"B\xff\xff\xff\x7f", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x80\x04",
              b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f", b"cnumpy\ndtype\n",
              b"cnumpy\nndarray\n",
              b"cos\nsystem\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"I99999999999999999999\n", b"L1L\n",
              b"Vx\n",
              b"S'x'\n", b"F1e999\n", b"i", b"P1\n", b"Q", b"\x82\x01", b"\x97", b"\x98", b"\x92"]
MADE = st.builds(lambda parts, often: b"\x80\x02" + b"".join(parts * often) + b".",
                 st.lists(st.sampled_from(OPERATIONS), max_size=25), st.integers(1, 40))


@given(data=st.one_of(MADE, MADE, damaged(*PICKLES), st.binary(max_size=60)))
def test_pickles(data: bytes, survives: Survives) -> None:
    def read() -> Any:
        try:
            return unpickle(data)
        except pickle.UnpicklingError as error:
            raise ConfigError(str(error)) from None
    survives(read)


CONTENTS = st.one_of(MADE, damaged(*PICKLES), st.sampled_from(PICKLES), st.builds(
    lambda labels: pickle.dumps({**BATCH, b"labels": labels}), st.lists(st.one_of(
        st.integers(), st.integers(-1, 10), st.just(10**5000), st.none()), min_size=2, max_size=2)))


@given(content=CONTENTS)
def test_cifar_pickles(content: bytes, survives: Survives, folder: pathlib.Path) -> None:
    place = folder / "python" / "cifar-10-batches-py"
    place.mkdir(parents=True, exist_ok=True)
    others = [*(f"data_batch_{i}" for i in range(2, 6)), "test_batch"]
    for name in others if not (place / others[-1]).exists() else []:
        (place / name).write_bytes(PICKLES[1])
    (place / "data_batch_1").write_bytes(content)
    survives(lambda: load_cifar("cifar10", str(place.parent)))


@given(content=st.one_of(st.binary(max_size=100), st.integers(0, 10_000).map(bytes), st.binary(
    min_size=1, max_size=3).map(lambda labels: b"".join(bytes([label]) + bytes(3072) for label in labels))))
def test_cifar_binaries(content: bytes, survives: Survives, folder: pathlib.Path) -> None:
    place = folder / "binary" / "cifar-10-batches-bin"
    place.mkdir(parents=True, exist_ok=True)
    others = [*(f"data_batch_{i}" for i in (1, 2, 4, 5)), "test_batch"]
    for name in others if not (place / f"{others[-1]}.bin").exists() else []:
        (place / f"{name}.bin").write_bytes(bytes(3073))
    (place / "data_batch_3.bin").write_bytes(content)
    survives(lambda: load_cifar("cifar10", str(place.parent)))


def tar(names: list[str], content: bytes = PICKLES[1], form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as opened:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return file.getvalue()


NAMES = [f"cifar-10-batches-py/{name}" for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
                                                    "data_batch_5", "test_batch")]
TARS = [tar(NAMES), tar(NAMES, form=tarfile.GNU_FORMAT), tar(["x" * 300, *NAMES]), tar([*NAMES, "../" * 60 + "x"],
        form=tarfile.GNU_FORMAT)]


def with_header(whole: bytes, at: int, field: int, new: bytes) -> bytes:
    """A header changed, with a right checksum, so that the change counts."""
    start = 512 * (at % (len(whole) // 512))
    header = bytearray(whole[start:start + 512])
    header[field:field + len(new)] = new
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return whole[:start] + bytes(header[:512]) + whole[start + 512:]


FORGED = st.builds(with_header, st.sampled_from(TARS), st.sampled_from([0, 0, 0, 1, 2, 13, 26]),
                   st.sampled_from([0, 100, 124, 156, 257, 345, 386, 482]),
                   st.one_of(st.binary(max_size=12), st.sampled_from(
                       [b"77777777777", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"S", b"x", b"L", b"g", b"5", b"2"])))
ARCHIVED = st.one_of(damaged(*TARS), FORGED)


@given(content=st.one_of(ARCHIVED, ARCHIVED.map(lambda data: gzip.compress(data, 1)),
                         damaged(*(gzip.compress(whole, 1) for whole in TARS)), st.binary(max_size=600),
                         st.integers(1, 30).map(lambda n: gzip.compress(bytes(n * 2**20), 1))))
def test_cifar_archives(content: bytes, survives: Survives, folder: pathlib.Path) -> None:
    place = folder / "archive"
    place.mkdir(exist_ok=True)
    (place / "cifar-10-python.tar.gz").write_bytes(content)
    survives(lambda: load_cifar("cifar10", str(place)))


ARRAYS = st.one_of(
    hnp.arrays(st.one_of(hnp.scalar_dtypes(), st.just(np.dtype(object)), hnp.nested_dtypes(max_itemsize=40)),
               hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)),
    st.sampled_from([X, Y, X.astype(np.float32), Y.astype(np.uint8), np.ma.masked_array(X), "text", None, 3,
                     [[1], [1, 2]], [10**400], np.array([0, 2**31 - 2]), np.array([2**63], np.uint64), {"a": 1},
                     [[]], [[[]]],
                     object()]),
    st.lists(st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=3)), max_size=3), max_size=4))
OPTIONS = st.fixed_dictionaries({}, optional={
    "train_size": st.one_of(st.integers(-1, 12), st.integers(), st.floats(), st.text(max_size=3)),
    "label_noise": st.one_of(st.floats(0, 1), st.floats(), st.integers(), st.text(max_size=3)),
    "validation_split": st.one_of(st.floats(0, 1), st.floats(), st.none()),
    "seed": st.one_of(st.integers(), st.integers(0, 2**64), st.just(10**5000), st.floats(), st.just(np.int64(3))),
    "name": st.text(st.characters(exclude_categories=()))})


@given(x=ARRAYS, y=ARRAYS, x_test=st.one_of(st.none(), ARRAYS), y_test=st.one_of(st.none(), ARRAYS), options=OPTIONS,
       plain=st.booleans())
def test_arrays(x: Any, y: Any, x_test: Any, y_test: Any, options: dict[str, Any], plain: bool,
                survives: Survives) -> None:
    if plain:  # With good arrays, what the options do.
        x, y, x_test, y_test = X, Y, None, None
    made = survives(lambda: from_arrays(x, y, x_test, y_test, **options))
    assert made is None or len(made.train) > 0
