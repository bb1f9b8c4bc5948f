import io
import pickle
import tarfile

import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.data import load

ROWS = 2  # images in each file
FILES = {"cifar10": [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"], "cifar100": ["train", "test"]}
FOLDERS = {("cifar10", "python"): "cifar-10-batches-py", ("cifar10", "binary"): "cifar-10-batches-bin",
           ("cifar100", "python"): "cifar-100-python", ("cifar100", "binary"): "cifar-100-binary"}


class Python2Pickler(pickle._Pickler):
    """Writes bytes and texts as Python 2 wrote its strings, as the published files have them."""

    def save_string(self, value):
        data = value if isinstance(value, bytes) else value.encode()
        self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_string, str: save_string}


def python2(batch):
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(batch)
    return stream.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def planes(i):
    """Rows of file i as published: colour, row, column."""
    return np.random.RandomState(i).randint(0, 256, (ROWS, 3, 32, 32)).astype(np.uint8)


def fine(dataset, i):
    return [i, 9] if dataset == "cifar10" else [90 + i, 99]


def content(dataset, form, i):
    y, rows = fine(dataset, i), planes(i).reshape(ROWS, -1)
    if form == "binary":
        coarse = [b"\x13"] if dataset == "cifar100" else []
        return b"".join(b"".join([*coarse, bytes([label]), row.tobytes()]) for label, row in zip(y, rows, strict=True))
    if dataset == "cifar10":
        return python2({b"batch_label": b"a batch", b"labels": y, b"data": rows, b"filenames": [b"a.png", b"b.png"]})
    return python2({b"fine_labels": y, b"coarse_labels": [19] * ROWS, b"data": rows})


def write(folder, dataset, form, *, archive=False, **replaced):
    """Writes the files of a data set; `replaced` maps a file's stem to other content, or to None to leave it out."""
    inner, suffix = FOLDERS[dataset, form], ".bin" if form == "binary" else ""
    files = {f"{name}{suffix}": replaced.get(name, content(dataset, form, i)) for i, name in enumerate(FILES[dataset])}
    files = {name: data for name, data in files.items() if data is not None}
    if not archive:
        (folder / inner).mkdir(parents=True)
        for name, data in files.items():
            (folder / inner / name).write_bytes(data)
        return
    folder.mkdir(exist_ok=True)
    stem = {"cifar10": "cifar-10", "cifar100": "cifar-100"}[dataset]
    with tarfile.open(folder / f"{stem}-{form}.tar.gz", "w:gz") as tar:
        for name, data in reversed(files.items()):  # the order within the archive does not matter
            member = tarfile.TarInfo(f"{inner}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("labels", [list, np.array, lambda y: [*np.array(y)]])
def test_pickles_as_python_3_writes_them(tmp_path, protocol, labels):
    files = {name: pickle.dumps({"data": planes(i).reshape(ROWS, -1), "labels": labels(fine("cifar10", i)),
                                 "batch_label": "a batch"}, protocol) for i, name in enumerate(FILES["cifar10"])}
    write(tmp_path / "now", "cifar10", "python", **files)
    write(tmp_path / "then", "cifar10", "python")
    now, then = (load("cifar10", data_dir=tmp_path / name) for name in ("now", "then"))
    assert now.digest == then.digest


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
@pytest.mark.parametrize("form", ["python", "binary"])
@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_every_form_and_place(tmp_path, dataset, form, archive, nested):
    write(tmp_path / dataset if nested else tmp_path, dataset, form, archive=archive)
    made = load(dataset, data_dir=tmp_path, validation_split=0)
    x = np.concatenate([planes(i).transpose(0, 2, 3, 1).reshape(ROWS, -1) for i in range(len(FILES[dataset]))])
    y = sum((fine(dataset, i) for i in range(len(FILES[dataset]))), [])
    np.testing.assert_array_equal(np.concatenate([made.train.x, made.validation.x]), x)
    np.testing.assert_array_equal(np.concatenate([made.train.y, made.validation.y]), y)
    assert len(made.validation) == ROWS
    assert (made.train.x.dtype, made.train.y.dtype) == (np.uint8, np.int32)
    assert (made.classes, made.input_shape, made.divisor) == (100 if dataset == "cifar100" else 10, (32, 32, 3), 255.0)


class Evil:
    def __reduce__(self):
        import os
        return os.system, ("echo evil",)


@pytest.mark.parametrize("data, found", [
    (pickle.dumps(Evil(), protocol=2), "is no readable pickle (it asks for posix.system, and only arrays are allowed)"),
    (b"", "is no readable pickle (EOFError: Ran out of input)"),
    (b"\x80\x02nonsense", "is no readable pickle ("),
    (content("cifar10", "python", 0)[:500], "is no readable pickle ("),
    (python2({b"data": np.zeros((2, 3072), np.int16), b"labels": [1, 2]}),
     "holds data that are not bytes of shape [n, 3072]"),
    (python2({b"data": np.zeros((2, 3072)), b"labels": [1, 2]}),
     "is no readable pickle (it holds an array of f8, and only whole numbers are allowed)"),
    (python2([1, 2]), "holds no data and labels"),
    (python2({b"data": planes(0).reshape(ROWS, -1)}), "holds no data and labels"),
    (python2({b"data": planes(0), b"labels": [1, 2]}), "holds data that are not bytes of shape [n, 3072]"),
    (python2({b"data": [0], b"labels": [1]}), "holds data that are not bytes of shape [n, 3072]"),
    (python2({b"data": planes(0).reshape(ROWS, -1), b"labels": [1]}), "holds labels that are not 2 whole numbers"),
    (python2({b"data": planes(0).reshape(ROWS, -1), b"labels": [1, 10]}), "holds label 10 at position 1, not one of 0"),
    (python2({b"data": planes(0).reshape(ROWS, -1), b"labels": [-1, 1]}), "holds label -1 at position 0"),
])
def test_a_bad_pickle_is_refused_in_one_line(tmp_path, data, found, capfd):
    write(tmp_path, "cifar10", "python", data_batch_3=data)
    with pytest.raises(ConfigError) as error:
        load("cifar10", data_dir=tmp_path)
    message = str(error.value)
    assert message.startswith(f"--data_dir={tmp_path}: cifar-10-batches-py/data_batch_3 {found}")
    assert message.endswith("; download it again") and "\n" not in message
    assert "evil" not in capfd.readouterr().out


@pytest.mark.parametrize("data", [b"", b"x" * 3073])
def test_a_binary_file_of_another_length_is_refused(tmp_path, data):
    write(tmp_path, "cifar100", "binary", test=data)
    with pytest.raises(ConfigError, match=r"cifar-100-binary/test.bin has [\d,]+ bytes, which is no multiple of 3,074"):
        load("cifar100", data_dir=tmp_path)


def test_a_file_missing_from_the_archive_is_named(tmp_path):
    write(tmp_path, "cifar10", "binary", archive=True, data_batch_4=None)
    with pytest.raises(ConfigError, match="cifar-10-binary.tar.gz/data_batch_4.bin is missing; download it again$"):
        load("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize("cut", [0, 10, 5000])
def test_a_damaged_archive_is_refused_in_one_line(tmp_path, cut):
    write(tmp_path, "cifar10", "python", archive=True)
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(path.read_bytes()[:cut] if cut else b"no archive")
    with pytest.raises(ConfigError) as error:
        load("cifar10", data_dir=tmp_path)
    assert "cifar-10-python.tar.gz is no whole tar archive (" in str(error.value) and "\n" not in str(error.value)


def test_no_files_at_all(tmp_path):
    with pytest.raises(ConfigError, match="cifar-10-batches-py or cifar-10-python.tar.gz or cifar-10-batches-bin or"):
        load("cifar10", data_dir=tmp_path)
