import subprocess
import sys
import types

import numpy as np
import pytest

from reglab.config import DATASETS, ConfigError
from reglab.data import load
from reglab.data.catalog import IMAGE_SETS


def keras_with(monkeypatch, name, load_data):
    datasets = types.SimpleNamespace(**{name: types.SimpleNamespace(load_data=load_data)})
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(datasets=datasets))


def test_the_catalog_is_what_the_configuration_names():
    assert set(IMAGE_SETS) | {"digits"} == set(DATASETS)


@pytest.mark.parametrize("name", IMAGE_SETS)
def test_keras_arrays_become_examples_and_its_prints_stay_off_stdout(monkeypatch, capsys, name):
    shape = IMAGE_SETS[name].input_shape
    x = np.random.RandomState(0).randint(0, 256, (5, *shape)).astype(np.uint8)
    y = np.arange(5, dtype=np.uint8)
    column = y.reshape(-1, 1) if name.startswith("cifar") else y  # as Keras gives them

    def load_data():
        print("Downloading")
        return (x, column), (x[:2], column[:2])

    keras_with(monkeypatch, name, load_data)
    made = load(name, validation_split=0)
    np.testing.assert_array_equal(made.train.x, x.reshape(5, -1))
    np.testing.assert_array_equal(made.train.y, y)
    assert (len(made.validation), made.train.x.dtype, made.train.y.dtype) == (2, np.uint8, np.int32)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == "Downloading\n"


@pytest.mark.parametrize("name, file", [("mnist", "t10k-labels-idx1-ubyte.gz"),
                                        ("cifar100", "cifar-100-python.tar.gz")])
def test_without_a_network_the_message_says_which_files_to_give(monkeypatch, name, file):
    def load_data():
        raise Exception("URL fetch failure on\n  https://x: None")

    keras_with(monkeypatch, name, load_data)
    with pytest.raises(ConfigError) as error:
        load(name)
    message = str(error.value)
    assert message.startswith(f"--dataset={name} cannot be downloaded (URL fetch failure on https://x: None); "
                              "give a --data_dir that holds ")
    assert file in message and "\n" not in message


def test_importing_the_data_and_loading_digits_imports_no_tensorflow():
    code = ("import sys, reglab.data; reglab.data.load('digits'); "
            "sys.exit(bool({'tensorflow', 'keras', 'rich'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
