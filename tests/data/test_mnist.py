import gzip
import os

import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.data import load, load_undivided

SPLITS = {"train": 6, "t10k": 4}


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def images(split):
    return np.random.RandomState(SPLITS[split]).randint(0, 256, (SPLITS[split], 28, 28)).astype(np.uint8)


def labels(split):
    return np.arange(SPLITS[split], dtype=np.uint8)


def write(folder, *, dot="-", gz=True):
    folder.mkdir(exist_ok=True)
    for split in SPLITS:
        for name, array in ((f"images{dot}idx3", images(split)), (f"labels{dot}idx1", labels(split))):
            content = idx(array)
            path = folder / f"{split}-{name}-ubyte{'.gz' if gz else ''}"
            path.write_bytes(gzip.compress(content) if gz else content)
    return folder


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_every_spelling_and_place(tmp_path, name, dot, gz, nested):
    write(tmp_path / name if nested else tmp_path, dot=dot, gz=gz)
    made = load_undivided(name, tmp_path)
    np.testing.assert_array_equal(made.train.x, images("train").reshape(6, 784))
    np.testing.assert_array_equal(made.train.y, np.arange(6))
    np.testing.assert_array_equal(made.test.x, images("t10k").reshape(4, 784))
    np.testing.assert_array_equal(made.test.y, np.arange(4))
    assert (made.train.x.dtype, made.train.y.dtype) == (np.uint8, np.int32)
    assert (made.classes, made.input_shape, made.divisor) == (10, (28, 28), 255.0)
    assert load(name, data_dir=tmp_path).description == (
        f"{name}: 5 training, 1 validation and 4 test images of 28x28, 10 classes")


def refused(folder):
    with pytest.raises(ConfigError) as error:
        load("mnist", data_dir=folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_message_names_the_flag_the_file_the_sizes_and_the_fix(tmp_path):
    write(tmp_path, gz=False)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:100])
    assert refused(tmp_path) == (f"--data_dir={tmp_path}: train-images-idx3-ubyte is truncated: 100 of 4,720 bytes; "
                                 "download it again")


def test_counts_that_differ_are_refused(tmp_path):
    write(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(3, np.uint8))))
    assert refused(tmp_path) == (f"--data_dir={tmp_path}: t10k-images-idx3-ubyte.gz holds 4 images but "
                                 "t10k-labels-idx1-ubyte.gz 3 labels; download both again")


def test_a_label_out_of_range_is_refused(tmp_path):
    write(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.array([0, 1, 10, 2], np.uint8))))
    assert "t10k-labels-idx1-ubyte.gz holds label 10 at position 2, not one of 0 to 9" in refused(tmp_path)


@pytest.mark.parametrize("shape", [(6, 14, 28), (0, 28, 28)])
def test_images_of_another_shape_are_refused(tmp_path, shape):
    write(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(idx(np.zeros(shape, np.uint8)))
    assert f"holds {shape[0]} images of {shape[1]}x{shape[2]}, not of 28x28" in refused(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    assert f"--data_dir={tmp_path}: t10k-labels-idx1-ubyte.gz or t10k-labels-idx1-ubyte or" in refused(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    assert refused(tmp_path / "no").startswith(f"--data_dir={tmp_path / 'no'}: there is no such folder; ")


def test_the_home_folder_is_resolved(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "data")
    assert len(load_undivided("mnist", "~/data").train) == 6


@pytest.mark.skipif("REGLAB_MNIST_DIR" not in os.environ, reason="REGLAB_MNIST_DIR does not name a folder with MNIST")
def test_the_real_mnist():
    made = load("mnist", data_dir=os.environ["REGLAB_MNIST_DIR"], validation_split=0)
    assert made.description == "mnist: 60,000 training and 10,000 validation images of 28x28, 10 classes"
    counts = np.array([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    assert np.bincount(made.train.y).tolist() == counts.tolist()
    assert made.train.y[:5].tolist() == [5, 0, 4, 1, 9] and made.validation.y[:5].tolist() == [7, 2, 1, 0, 4]
    assert abs(made.train.x.mean() / 255 - 0.1307) < 1e-4
    three = load("mnist", data_dir=os.environ["REGLAB_MNIST_DIR"])
    assert three.description == "mnist: 48,000 training, 12,000 validation and 10,000 test images of 28x28, 10 classes"
    np.testing.assert_array_equal(three.test.x, made.validation.x)
    assert np.abs(np.bincount(three.validation.y) - 0.2 * counts).max() < 1
