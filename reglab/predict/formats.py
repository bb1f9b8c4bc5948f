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
    """What all predictions in a file have in common.

    Attributes:
      examples: their number.
      labels: [classes], the labels of the classes as the data have them; None if these are the class numbers.
      classes: the number of classes.
      dtype: the type of the probabilities.
    """

    examples: int
    classes: int
    dtype: np.dtype[Any]
    labels: npt.NDArray[Any] | None = None

    def named(self, classes: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
        """Returns the labels of class numbers."""
        return classes if self.labels is None else self.labels[classes]


Write = Callable[[IO[bytes], Iterable[Part], Shape], None]


def write_npz(file: IO[bytes], parts: Iterable[Part], shape: Shape) -> None:
    """Writes `class` [n] and `probabilities` [n, classes], and `class_names` [classes] where there are any."""
    classes = []
    with zipfile.ZipFile(file, "w") as archive:
        with archive.open("probabilities.npy", "w", force_zip64=True) as member:
            _header(member, (shape.examples, shape.classes), shape.dtype)
            for part in parts:
                classes.append(part.classes)
                member.write(part.probabilities.astype(shape.dtype).tobytes())
        with archive.open("class.npy", "w", force_zip64=True) as member:
            npy.write_array(member, shape.named(np.concatenate(classes)), allow_pickle=False)
        if shape.labels is not None:
            with archive.open("class_names.npy", "w") as member:
                npy.write_array(member, shape.labels, allow_pickle=False)


def write_npy(file: IO[bytes], parts: Iterable[Part], shape: Shape) -> None:
    """Writes one array [n] with the fields `class` and `probabilities` [classes]."""
    kind = np.dtype("<i4") if shape.labels is None else shape.labels.dtype
    row = np.dtype([("class", kind), ("probabilities", shape.dtype, (shape.classes,))])
    _header(file, (shape.examples,), row)
    for part in parts:
        rows = np.empty(len(part.classes), row)
        rows["class"], rows["probabilities"] = shape.named(part.classes), part.probabilities
        file.write(rows.tobytes())


def write_csv(file: IO[bytes], parts: Iterable[Part], shape: Shape) -> None:
    """Writes one line per example: its class, then the probability of each class, to the bit."""
    names = [str(name) for name in shape.named(np.arange(shape.classes, dtype=np.int32)).tolist()]
    cells = [_cell(name) for name in names]
    file.write((",".join(["class", *(_cell(f"probability_{name}") for name in names)]) + "\n").encode())
    for part in parts:
        file.write("".join(f"{cells[k]},{','.join(_digits(row))}\n" for k, row in zip(*part, strict=True)).encode())


def write_json(file: IO[bytes], parts: Iterable[Part], shape: Shape) -> None:
    """Writes {"predictions": [{"class": …, "probabilities": […]}, …]}, one line per example.

    If the classes have names, "class_names" comes first.
    """
    names = [json.dumps(name) for name in shape.named(np.arange(shape.classes, dtype=np.int32)).tolist()]
    known = "" if shape.labels is None else f'"class_names": [{", ".join(names)}], '
    file.write(f'{{{known}"predictions": ['.encode())
    separator = "\n"
    for part in parts:
        for k, row in zip(*part, strict=True):
            text = f'{{"class": {names[k]}, "probabilities": [{", ".join(_digits(row))}]}}'
            file.write(f"{separator}{text}".encode())
            separator = ",\n"
    file.write(b"\n]}\n")


def _cell(text: str) -> str:
    """Returns a text as a cell of a CSV file: in quotes, if it needs them."""
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"') else text


def _digits(row: npt.NDArray[Any]) -> Iterable[str]:
    """Returns the shortest texts from which the numbers can be read back to the bit."""
    return (np.format_float_scientific(value, trim="-") for value in row)


def _header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    npy.write_array_header_1_0(file, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})


FORMATS: Final[dict[str, Write]] = {".npz": write_npz, ".npy": write_npy, ".csv": write_csv, ".json": write_json}
