import hashlib
import importlib.resources

import numpy as np
import pytest

import reglab.data
from reglab.data.digits import load_digits
from reglab.data.randomness import Purpose
from reglab.data.sampling import stratified


def stored():
    return np.load(str(importlib.resources.files(reglab.data) / "digits.npz"))


def test_the_digits_are_those_of_scikit_learn():
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    theirs, ours = sklearn_datasets.load_digits(), stored()
    np.testing.assert_array_equal(ours["x"], theirs.data)
    np.testing.assert_array_equal(ours["y"], theirs.target)


def test_the_split_is_as_digits_md_says():
    ours = stored()
    drawn = stratified(ours["y"].astype(np.int32), 360, seed=0, purpose=Purpose.SPLIT)
    np.testing.assert_array_equal(ours["validation"], drawn)
    assert hashlib.sha256(ours["validation"].astype("<i2").tobytes()).hexdigest()[:16] == "624f6d18816dfd2b"


def test_the_parts_are_disjoint_and_whole():
    digits, ours = load_digits(), stored()
    assert (len(digits.train), len(digits.validation)) == (1437, 360)
    np.testing.assert_array_equal(digits.validation.x, ours["x"][ours["validation"]])
    np.testing.assert_array_equal(digits.validation.y, ours["y"][ours["validation"]])
    mask = np.ones(1797, bool)
    mask[ours["validation"]] = False
    np.testing.assert_array_equal(digits.train.x, ours["x"][mask])
    np.testing.assert_array_equal(digits.train.y, ours["y"][mask])


def test_every_class_has_its_share():
    digits = load_digits()
    shares = np.bincount(digits.validation.y) / np.bincount(np.r_[digits.train.y, digits.validation.y])
    np.testing.assert_allclose(shares, 360 / 1797, atol=1 / 174)


def test_types_and_facts():
    digits = load_digits()
    assert (digits.train.x.dtype, digits.train.y.dtype, digits.train.x.shape) == (np.uint8, np.int32, (1437, 64))
    assert (digits.classes, digits.input_shape, digits.divisor) == (10, (8, 8), 16.0)
    assert digits.train.x.max() == 16
    assert digits.description == "digits: 1,437 training and 360 validation images of 8x8, 10 classes"
