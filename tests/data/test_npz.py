import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.data import load

X = np.arange(40, dtype=np.uint8).reshape(10, 4)
Y = np.arange(10) % 3


def refused(path):
    with pytest.raises(ConfigError) as error:
        load(str(path))
    message = str(error.value)
    assert message.startswith(f"--dataset={path}") and "\n" not in message
    return message[len(f"--dataset={path}"):]


def test_a_file_with_a_test_part(tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=X, y_train=Y, x_test=X[:4], y_test=Y[:4], more=np.array([None]))
    made = load(str(tmp_path / "mine.npz"))
    np.testing.assert_array_equal(np.sort(np.concatenate([made.train.x, made.validation.x]), axis=0), X)
    np.testing.assert_array_equal(made.test.x, X[:4])
    assert made.description == "mine: 8 training, 2 validation and 4 test examples of 4 features, 3 classes"
    tutorial = load(str(tmp_path / "mine.npz"), validation_split=0)
    np.testing.assert_array_equal(tutorial.train.x, X)
    np.testing.assert_array_equal(tutorial.validation.x, X[:4])
    assert tutorial.description == "mine: 10 training and 4 validation examples of 4 features, 3 classes"
    assert (tutorial.test, tutorial.validated_on_test) == (None, True)
    assert tutorial.facts["caution"].startswith("Validated on the test part (--validation_split=0)")


def test_a_test_part_that_is_not_there_cannot_be_taken_for_validation(tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=X, y_train=Y)
    assert load(str(tmp_path / "mine.npz")).test is None
    with pytest.raises(ConfigError) as error:
        load(str(tmp_path / "mine.npz"), validation_split=0)
    assert str(error.value) == ("--validation_split=0 takes the test part for validation, and mine has none: give a "
                                "fraction such as 0.2, x_test and y_test, or --test_split")


def test_the_flags_are_applied(tmp_path):
    np.savez_compressed(tmp_path / "mine.npz", x_train=X, y_train=Y)
    made = load(str(tmp_path / "mine.npz"), validation_split=0.4, train_size=5, label_noise=0.2, seed=3)
    assert (len(made.train), len(made.validation)) == (5, 4)
    assert np.sum(made.train.y != Y[made.train.x[:, 0] // 4]) == 1
    assert np.all(made.validation.y == Y[made.validation.x[:, 0] // 4])


def test_a_missing_file_is_named(tmp_path):
    assert refused(tmp_path / "no.npz") == (": there is no such file; give the path of an .npz file, or the name of a "
                                            "data set")


def test_a_bad_array_is_named_with_the_file(tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=X, y_train=Y.astype(complex))
    assert refused(tmp_path / "mine.npz") == (": y_train has type complex128; give whole numbers or texts, one an "
                                              "example")


def test_missing_arrays_are_named(tmp_path):
    np.savez(tmp_path / "mine.npz", images=X)
    assert refused(tmp_path / "mine.npz").startswith(": x_train is missing, found nothing; ")


def test_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=X.astype(object), y_train=Y)
    assert refused(tmp_path / "mine.npz").startswith(": x_train cannot be read (Object arrays cannot be loaded")


def test_a_single_array_is_refused(tmp_path):
    with (tmp_path / "mine.npz").open("wb") as file:
        np.save(file, X)
    assert refused(tmp_path / "mine.npz").startswith(" holds a single array")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_anywhere_is_refused(tmp_path, save):
    save(tmp_path / "whole.npz", x_train=X, y_train=Y)
    whole = (tmp_path / "whole.npz").read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(b"PK", 1) - 8] ^= 1  # within the last bytes of the first array: only its checksum can tell
    for content in (b"", b"nonsense", whole[:10], whole[:-10], whole[:len(whole) // 2], bytes(flipped)):
        (tmp_path / "mine.npz").write_bytes(content)
        assert " cannot be read (" in refused(tmp_path / "mine.npz")
