"""CIFAR-10 and CIFAR-100, from the Python or the binary version: https://www.cs.toronto.edu/~kriz/cifar.html."""

from __future__ import annotations

import dataclasses
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reglab.data.catalog import IMAGE_SETS, bad_label
from reglab.data.examples import Examples, Undivided
from reglab.data.places import DataFile, locate
from reglab.data.unpacking import Growing, Unzipped
from reglab.data.unpickle import MOST_READS, PickledArray, unpickle
from reglab.inputs.paths import Unusable
from reglab.inputs.texts import one_line

_PIXELS: Final = 3 * 32 * 32
_MOST_MEMBERS: Final = 1000
_MOST_HEADER: Final = 2**14
_Rows = tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]


class _Member(tarfile.TarInfo):
    """A header of bounded length, enough for a path and a few entries: a long one could hold a million entries."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if not self.isreg() and self.size > _MOST_HEADER:
            raise Unusable("it holds a header that is longer than any of CIFAR")
        return super()._proc_member(archive)  # type: ignore[misc]


@dataclasses.dataclass(frozen=True)
class _Layout:
    python: tuple[str, str]  # folder, archive
    binary: tuple[str, str]
    train: tuple[str, ...]
    test: str
    label_key: bytes  # in the pickles
    label_bytes: int  # before each binary image; the last one is the label that counts
    most: int  # the most bytes in a file
    parts: int  # the most parts in a pickle


_LAYOUTS: Final[Mapping[str, _Layout]] = {
    "cifar10": _Layout(("cifar-10-batches-py", "cifar-10-python.tar.gz"),
                       ("cifar-10-batches-bin", "cifar-10-binary.tar.gz"),
                       tuple(f"data_batch_{i}" for i in range(1, 6)), "test_batch", b"labels", 1, 2**26, 250_000),
    "cifar100": _Layout(("cifar-100-python", "cifar-100-python.tar.gz"),
                        ("cifar-100-binary", "cifar-100-binary.tar.gz"), ("train",), "test", b"fine_labels", 2,
                        2**28, MOST_READS),
}


def load_cifar(dataset: str, data_dir: str) -> Undivided:
    """Reads `cifar10` or `cifar100` (its 100 fine classes) from `data_dir`, or from its folder of that name.

    Pixels are ordered as in Keras: row, column, colour.

    Raises:
      ConfigError: a file is missing or not what it should be.
    """
    layout = _LAYOUTS[dataset]
    place = locate(data_dir, dataset, layout.python + layout.binary)
    binary = place.path.name in layout.binary
    names = [f"{name}.bin" if binary else name for name in (*layout.train, layout.test)]
    contents = (_read_folder if place.path.is_dir() else _read_archive)(place, names, layout.most)
    batches = []
    for name in names:
        file = place.inside(name)
        if name not in contents:
            raise file.damaged("is missing")
        x, y = (_read_binary if binary else _read_pickle)(file, contents.pop(name), layout)
        if wrong := bad_label(y, IMAGE_SETS[dataset].classes):
            raise file.damaged(wrong)
        batches.append(Examples(_colours_last(x), y.astype(np.int32)))
    train = Examples(np.concatenate([batch.x for batch in batches[:-1]]),
                     np.concatenate([batch.y for batch in batches[:-1]]))
    return IMAGE_SETS[dataset].undivided(dataset, train, batches[-1])


def _read_folder(place: DataFile, names: list[str], most: int) -> dict[str, bytes]:
    return {name: place.inside(name).read(most) for name in names}


def _read_archive(place: DataFile, names: list[str], most: int) -> dict[str, bytes]:
    """Reads the named files, wherever they are in the archive. Nothing is unpacked to the disk."""
    contents = {}
    with place.open() as file:
        try:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream: Any = Growing(Unzipped(file), file) if packed else file
            # Mode r| reads from front to back, without seeking.
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
                for number, member in enumerate(archive):
                    if number >= _MOST_MEMBERS or member.size > most or member.issparse():
                        raise Unusable("it holds more or larger files than CIFAR")
                    name = PurePosixPath(member.name).name
                    content = archive.extractfile(member) if name in names and member.isfile() else None
                    if content is not None:
                        contents[name] = content.read()
        except Exception as error:  # A damaged archive raises one of a dozen types.
            raise place.damaged(f"is no whole tar archive ({one_line(error, 200)})") from None
    return contents


def _read_pickle(file: DataFile, data: bytes, layout: _Layout) -> _Rows:
    try:
        batch = unpickle(data, layout.parts)
    except pickle.UnpicklingError as error:
        raise file.damaged(f"is no readable pickle ({one_line(error, 200)})") from None
    if isinstance(batch, dict):  # Python 3 writes texts where Python 2 wrote bytes.
        batch = {key.encode() if isinstance(key, str) else key: value for key, value in batch.items()}
    if not isinstance(batch, dict) or not {b"data", layout.label_key} <= batch.keys():
        raise file.damaged(f"holds no data and {layout.label_key.decode()}")
    pixels, labels = batch[b"data"], batch[layout.label_key]
    x = pixels.array if isinstance(pixels, PickledArray) else np.empty(0, np.uint8)
    if isinstance(labels, PickledArray) and labels.array.ndim == 1:
        labels = labels.array.tolist()
    if x.dtype != np.uint8 or x.ndim != 2 or x.shape[1] != _PIXELS or not len(x):
        raise file.damaged(f"holds data that are not bytes of shape [n, {_PIXELS}]")
    if not isinstance(labels, list) or len(labels) != len(x) or not all(type(label) is int for label in labels):
        raise file.damaged(f"holds {layout.label_key.decode()} that are not {len(x):,} whole numbers, one an image")
    return x, np.array(labels)


def _read_binary(file: DataFile, data: bytes, layout: _Layout) -> _Rows:
    record = layout.label_bytes + _PIXELS
    if not data or len(data) % record:
        raise file.damaged(f"has {len(data):,} bytes, which is no multiple of {record:,}, the size of a record")
    records = np.frombuffer(data, np.uint8).reshape(-1, record)
    return records[:, layout.label_bytes:], records[:, layout.label_bytes - 1]


def _colours_last(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Reorders [n, 3072] from one plane per colour, as in CIFAR, to the three colours of each pixel together."""
    images: npt.NDArray[np.uint8] = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images.reshape(len(rows), _PIXELS)
