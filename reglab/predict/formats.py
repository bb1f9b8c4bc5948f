"""Writes predictions in parts, so that a file may be larger than memory. No TensorFlow here."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable
from typing import IO, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy


class Part(NamedTuple):
    """Some predictions: [n] int32 class numbers and [n, classes] probabilities."""

    classes: npt.NDArray[np.int32]
    probabilities: npt.NDArray[Any]


class Shape(NamedTuple):
    """The number of examples and classes of all predictions in a file, and the type of the probabilities."""

    examples: int
    classes: int
    dtype: np.dtype[Any]


Write = Callable[[IO[bytes], Iterable[Part], Shape], None]


def write_npz(file: IO[bytes], parts: Iterable[Part], shape: Shape) -> None:
    """Writes two arrays: `class` [n] int32 and `probabilities` [n, classes]."""
    classes = []
    with zipfile.ZipFile(file, "w") as archive:
        with archive.open("probabilities.npy", "w", force_zip64=True) as member:
            _header(member, (shape.examples, shape.classes), shape.dtype)
            for part in parts:
                classes.append(part.classes)
                member.write(part.probabilities.astype(shape.dtype).tobytes())
        with archive.open("class.npy", "w", force_zip64=True) as member:
            npy.write_array(member, np.concatenate(classes), allow_pickle=False)


def write_npy(file: IO[bytes], parts: Iterable[Part], shape: Shape) -> None:
    """Writes one array [n] with the fields `class` and `probabilities` [classes]."""
    row = np.dtype([("class", "<i4"), ("probabilities", shape.dtype, (shape.classes,))])
    _header(file, (shape.examples,), row)
    for part in parts:
        rows = np.empty(len(part.classes), row)
        rows["class"], rows["probabilities"] = part
        file.write(rows.tobytes())


def write_csv(file: IO[bytes], parts: Iterable[Part], shape: Shape) -> None:
    """Writes one line per example: its class, then the probability of each class, to the bit."""
    file.write((",".join(["class", *(f"probability_{k}" for k in range(shape.classes))]) + "\n").encode())
    for part in parts:
        file.write("".join(f"{k},{','.join(_digits(row))}\n" for k, row in zip(*part, strict=True)).encode())


def write_json(file: IO[bytes], parts: Iterable[Part], shape: Shape) -> None:
    """Writes {"predictions": [{"class": …, "probabilities": […]}, …]}, one line per example."""
    file.write(b'{"predictions": [')
    separator = "\n"
    for part in parts:
        for k, row in zip(*part, strict=True):
            text = f'{{"class": {json.dumps(int(k))}, "probabilities": [{", ".join(_digits(row))}]}}'
            file.write(f"{separator}{text}".encode())
            separator = ",\n"
    file.write(b"\n]}\n")


def _digits(row: npt.NDArray[Any]) -> Iterable[str]:
    """Returns the shortest texts from which the numbers can be read back to the bit."""
    return (np.format_float_scientific(value, trim="-") for value in row)


def _header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    npy.write_array_header_1_0(file, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})


FORMATS: Final[dict[str, Write]] = {".npz": write_npz, ".npy": write_npy, ".csv": write_csv, ".json": write_json}
