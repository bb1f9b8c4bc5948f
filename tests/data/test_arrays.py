import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.data import from_arrays

X = np.arange(40, dtype=np.uint8).reshape(10, 2, 2)
Y = np.arange(10) % 3
XX = np.concatenate([X] * 4)
TEXTS = {"y_test": np.array(["a"] * 10)}


@pytest.mark.parametrize("dtype, kept, divisor", [
    (np.uint8, np.uint8, 255.0), (np.bool_, np.uint8, 1.0), (np.int64, np.float32, 1.0), (np.uint16, np.float32, 1.0),
    (np.float16, np.float32, 1.0), (np.float32, np.float32, 1.0), (np.float64, np.float32, 1.0)])
def test_types_of_inputs(dtype, kept, divisor):
    x = X.astype(dtype)
    made = from_arrays(x, Y, x, Y)
    assert (made.train.x.dtype, made.divisor, made.input_shape, made.classes) == (kept, divisor, (2, 2), 3)
    both = np.concatenate([made.train.x, made.validation.x])
    np.testing.assert_array_equal(np.sort(both, axis=0), np.sort(x.reshape(10, 4).astype(kept), axis=0))
    np.testing.assert_array_equal(made.test.x, x.reshape(10, 4))
    np.testing.assert_array_equal(made.test.y, Y)
    assert (made.train.y.dtype, made.dtype) == (np.int32, np.dtype(kept).name)


def test_lists_and_every_type_of_whole_labels_will_do():
    made = from_arrays([[0.5], [1.5]], np.array([0, 1], np.uint64), [[0.25]], [4], validation_split=0.5)
    assert (made.classes, made.class_names) == (3, (0, 1, 4))
    assert sorted([*made.train.x.tolist(), *made.validation.x.tolist()]) == [[0.5], [1.5]]
    assert made.description == "arrays: 1 training, 1 validation and 1 test examples of 1 features, 3 classes (0, 1, 4)"


@pytest.mark.parametrize("labels, names", [
    (["b", "a", "c"], ("a", "b", "c")), ([1, 2, 3], (1, 2, 3)), ([-1, 1, 1], (-1, 1)), ([2, 1, 0], None),
    ([0, 5, 2**31 - 1], (0, 5, 2**31 - 1)), ([0.0, 1.0, 2.0], None), ([3.0, 1.0, 1.0], (1, 3)),
    ([True, False, True], (False, True)), (np.array(["yes", "no", "yes"], object), ("no", "yes")),
    (np.array([b"f", b"m", b"f"]), ("f", "m")), (np.array([3, 1, 2], object), (1, 2, 3)),
    (["a", "a", "a"], ("a", "not a")), ([7, 7, 7], (7, 8))])
def test_labels_of_any_kind_are_numbered_in_sorted_order_and_keep_their_names(labels, names):
    made = from_arrays(X[:9], np.tile(labels, 3), validation_split=1 / 3)
    shown = range(made.classes) if names is None else names
    assert (made.class_names, made.classes, made.train.y.dtype) == (names, len(shown), np.int32)
    assert made.facts.get("class_names") == (None if names is None else list(names))
    text = [str(label.decode() if isinstance(label, bytes) else label).removesuffix(".0") for label in labels]
    for part in (made.train, made.validation):
        where = [next(k for k in range(9) if (X[k].reshape(-1) == x).all()) for x in part.x]
        assert [str(shown[k]) for k in part.y] == [text[k % 3] for k in where]


def test_names_are_part_of_what_tells_data_apart():
    one, other = (from_arrays(X, np.array(names)[Y]) for names in (["a", "b", "c"], ["a", "b", "d"]))
    assert one.digest != other.digest and one.facts["digests"] == other.facts["digests"]


def test_one_class_counts_as_two():
    assert from_arrays(X, np.zeros(10, int)).classes == 2


@pytest.mark.parametrize("test", [(), (X[:2], Y[:2])])
def test_with_a_test_part_or_without_a_seeded_share_is_held_out(test):
    made = from_arrays(X, Y, *test, validation_split=0.3, seed=1)
    assert made.sizes.get("test", 0) == (2 if test else 0)
    assert (len(made.train), len(made.validation)) == (7, 3)
    assert sorted(np.concatenate([made.train.x, made.validation.x])[:, 0].tolist()) == X[:, 0, 0].tolist()
    other = from_arrays(X, Y, validation_split=0.3, seed=2)
    assert made.validation.x.tolist() != other.validation.x.tolist()


def test_the_arrays_given_are_left_alone():
    x, y = X.copy(), Y.astype(np.int32)
    made = from_arrays(x, y, x, y, label_noise=1.0)
    true = {bytes(image): label for image, label in zip(X.reshape(10, 4), Y, strict=True)}
    assert all(label != true[bytes(image)] for image, label in zip(made.train.x, made.train.y, strict=True))
    assert all(label == true[bytes(image)] for image, label in zip(made.validation.x, made.validation.y, strict=True))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(made.test.y, Y)


def spoiled(array, index, value):
    array = array.astype(np.float64 if isinstance(value, float) else array.dtype)
    array[index] = value
    return array


@pytest.mark.parametrize("changes, message", [
    ({"y_train": None}, "y_train is missing, found x_train, x_test, y_test; give x_train and y_train"),
    ({"x_train": None}, "x_train is missing, found y_train, x_test, y_test"),
    ({"y_test": None}, "y_test is missing, found x_train, y_train, x_test"),
    ({"x_test": None}, "x_test is missing, found x_train, y_train, y_test"),
    ({"x_train": X[:0], "y_train": Y[:0]}, "x_train has shape (0, 2, 2); give [examples, features]"),
    ({"x_test": X[:, :0]}, "x_test has shape (10, 0, 2)"),
    ({"x_train": X[:, 0, 0]}, "x_train has shape (10,)"),
    ({"x_train": [[1], [1, 2]]}, "x_train is no array ("),
    ({"x_train": X.astype(object)}, "x_train has type object; give uint8, bool, integers or floats"),
    ({"x_train": X.astype(complex)}, "x_train has type complex128"),
    ({"x_train": X.astype(str)}, "x_train has type <U3"),
    ({"x_train": spoiled(X, (3, 1, 0), np.nan)}, "x_train[3, 1, 0] is nan and 1 of 40 values are not finite"),
    ({"x_test": spoiled(X, (2, 0, 1), -np.inf)}, "x_test[2, 0, 1] is -inf and 1 of 40"),
    ({"x_test": spoiled(X, (2, 0, 1), 1e300)}, "x_test[2, 0, 1] is 1e+300 and 1 of 40"),
    ({"x_test": X[:, :1]}, "x_test holds examples of shape (1, 2) but x_train of (2, 2)"),
    ({"x_test": X.astype(np.float32)}, "x_test is float32 but x_train uint8; give both the same type"),
    ({"x_test": X.astype(bool)}, "x_test is bool but x_train uint8"),
    ({"x_train": X > 9, "x_test": X / 2}, "x_test is float64 but x_train bool"),
    ({"y_train": Y[:9]}, "y_train has 9 labels for 10 examples"),
    ({"y_train": np.eye(3)[Y]}, "y_train has shape (10, 3) and is one-hot; give class numbers: y_train.argmax(axis=1)"),
    ({"y_train": np.array([[0, 1, 1]] * 10)}, "y_train has shape (10, 3): several labels for an example (multi-label)"),
    ({"y_train": np.ones((10, 2)) / 2}, "y_train has shape (10, 2): several values for an example, and reglab"),
    ({"y_train": Y + 0.5}, "y_train[0] is 0.5, no whole number: as if a quantity (regression), and reglab learns"),
    ({"y_test": spoiled(Y, 3, np.nan)}, "y_test[3] is nan; give every example a label, or leave it out"),
    ({"x_train": XX, "y_train": np.arange(40.0)}, "y_train has 40 different numbers in 40 examples: as if a quantity"),
    ({"y_train": Y.astype(str), "y_test": Y}, "y_test has labels of type int64 but y_train of type <U21; give both"),
    ({"y_train": np.array([*"ab" * 4, "a", ""])}, "y_train[9] is empty; give every example a label, or leave it out"),
    ({"y_train": np.array(["a"] * 9 + [None], object)}, "y_train[9] is None, of type NoneType; give labels of one"),
    ({**TEXTS, "y_train": np.array(["a"] * 9 + ["b\n"])}, "y_train has the label b\\n, and it holds the control"),
    ({**TEXTS, "y_train": np.array(["a"] * 9 + ["b" * 201])}, "y_train has the label bbb"),
    ({"y_train": np.full(10, b"\xff")}, "y_train holds bytes that are no text in UTF-8"),
    ({"y_train": np.full(10, 2**63, np.uint64)}, "y_train has numbers beyond 63 bits; give smaller whole numbers"),
    ({"y_train": Y.astype(complex)}, "y_train has type complex128; give whole numbers or texts, one an example"),
    ({"y_test": Y.reshape(-1, 1)}, "y_test has shape (10, 1); give one class number an example: y_test.reshape(-1)"),
    ({"y_train": 3}, "y_train has shape ()"),
])
@pytest.mark.filterwarnings("error")
def test_what_cannot_be_used_is_refused_in_one_line(changes, message):
    arrays = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y, **changes}
    with pytest.raises(ConfigError) as error:
        from_arrays(**arrays, name="mine")
    assert str(error.value).startswith(f"mine: {message}") and "\n" not in str(error.value)
