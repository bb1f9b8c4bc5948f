"""Files that are not what they should be: deep, endless, bombs, pickles, headers that promise too much."""

from __future__ import annotations

import gzip
import io
import json
import os
import pathlib
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Final

ZEROS: Final = b"and 64 MiB of zeros"


def make_files(folder: pathlib.Path) -> pathlib.Path:
    """The files that the command lines name."""
    texts = {"deep.json": "[" * 300_000, "list.json": "[1]", "null.json": "null", "types.json": '{"epochs": [[]]}',
             "digits.json": '{"seed": ' + "9" * 5000 + "}", "config.txt": "a file",
             "wide.json": json.dumps({f"field_{i}": i for i in range(100_000)}),
             "duplicate.json": '{"epochs": 1, "epochs": "x"}', "itself.flags": "--flagfile=itself.flags",
             "deep.flags": "--flagfile=deep.flags\n--flagfile=itself.flags\n", "big.json": " " * 20_000_000 + "{"}
    texts |= {f"many{number}.flags": f"--flagfile=many{number + 1}.flags\n" * 400 for number in range(1, 7)}
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "binary.json").write_bytes(bytes(range(256)) * 100)
    _tables(folder)
    for name in ("pipe", "pipe.npz", "pipe.csv", "pipe.parquet"):
        os.mkfifo(folder / name)
    (folder / "folder.npz").mkdir()
    (folder / "loop").symlink_to("loop")
    (folder / "itself.npz").symlink_to("itself.npz")
    for name, arrays in _archives().items():
        _write_npz(folder / name, arrays)
    for place, write in (("bomb", _bombs), ("claims", _claims)):
        (folder / place).mkdir()
        write(folder / place)
    _rows(folder)
    (folder / "pickle").mkdir()
    _tar(folder / "pickle" / "cifar-10-python.tar.gz", {"data_batch_1": b"cos\nsystem\n(S'touch ran'\ntR."})
    (folder / "pipes").mkdir()
    for name in ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "cifar-10-python.tar.gz"):
        os.mkfifo(folder / "pipes" / name)
    return folder


def _tables(folder: pathlib.Path) -> None:
    """Tables that have no end, no numbers, no order, or far too much of something."""
    for name, text in {"wide.csv": "," * 10 ** 6, "quoted.csv": 'a,b\n"' + "x" * 20_000_000,
                       "texts.csv": "a,b\n" + "x,y\n" * 9, "control.csv": "a\x1b[2J,b\n" + "1,2\n" * 50,
                       "ragged.csv": "a,b\n1,2\n1,2,3\n",
                       "label.csv": "a,b\n" + "1,\x1b[2J\n" * 50, "zeros.csv": "\0" * 10 ** 6}.items():
        (folder / name).write_text(text)
    with open(folder / "endless.csv", "wb") as file:
        file.write(b"a,b\n")
        file.truncate(1 << 42)
    (folder / "torn.parquet").write_bytes(b"PAR1" + b"\xff" * 1000 + struct.pack("<I", 2 ** 31 - 1) + b"PAR1")


def _archives() -> dict[str, dict[str, bytes]]:
    """Name to the arrays of an .npz file that is not what it should be; `ZEROS` stands for many of them."""
    def array(shape: str, dtype: str, data: bytes) -> bytes:
        head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data
    labels = array("(4,)", "<i4", struct.pack("<4i", 0, 1, 0, 1))
    image = array("(4, 2)", "<f4", struct.pack("<8f", *range(8)))
    return {
        "bomb.npz": {"x_train": array("(4, 500000000)", "|u1", ZEROS), "y_train": labels},
        "claims.npz": {"x_train": array("(4, 9000000000000)", "|u1", b"xx"), "y_train": labels},
        "pickled.npz": {"x_train": array("(4,)", "|O", b"cos\nsystem\n(S'touch ran'\ntR."), "y_train": labels},
        "empty.npz": {}, "zeros.npz": {"x_train": array("(0, 2)", "<f4", b""), "y_train": array("(0,)", "<i4", b"")},
        "nan.npz": {"x_train": array("(4, 2)", "<f4", struct.pack("<8f", *[float("nan")] * 8)), "y_train": labels},
        "crossed.npz": {"x_train": labels, "y_train": image},
        "huge_label.npz": {"x_train": image, "y_train": array("(4,)", "<i8", struct.pack("<4q", 0, 1, 2, 2 ** 60))},
    }


def _write_npz(path: pathlib.Path, arrays: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(content.removesuffix(ZEROS))
                for _ in range(64 if content.endswith(ZEROS) else 0):
                    member.write(bytes(1 << 20))


def _bombs(place: pathlib.Path) -> None:
    """Small files that unpack to two gigabytes: a gzip file may be many, one after the other."""
    zeros = gzip.compress(bytes(1 << 24), 1) * 128
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                 "t10k-labels-idx1-ubyte"):
        (place / f"{name}.gz").write_bytes(zeros)
    member = tarfile.TarInfo("data_batch_1")
    member.size = 1 << 31
    (place / "cifar-10-python.tar.gz").write_bytes(gzip.compress(member.tobuf()) + zeros + gzip.compress(bytes(1024)))


def _rows(folder: pathlib.Path) -> None:
    """A million gzip files that are empty, one after the other; and an empty array of more places than NumPy counts."""
    for name in ("rows", "empty"):
        (folder / name).mkdir()
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "cifar-10-python.tar.gz"):
        (folder / "rows" / name).write_bytes(gzip.compress(b"") * 10 ** 6)
    (folder / "empty" / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, 2 ** 32 - 1, 2 ** 32 - 1, 0))
    (folder / "empty" / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, 0))


def _claims(place: pathlib.Path) -> None:
    """Headers that promise more than there is."""
    (place / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, 2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1))
    (place / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, 2 ** 32 - 1))
    _tar(place / "cifar-10-python.tar.gz", {"data_batch_1": b"\x80\x04B\xff\xff\xff\x7f" + b"x" * 100})


def _tar(path: pathlib.Path, members: Mapping[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
