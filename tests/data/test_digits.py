import hashlib
import importlib.resources

import numpy as np
import pytest

import reglab.data
from reglab.data import load
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
    y = ours["y"].astype(np.int32)
    np.testing.assert_array_equal(ours["test"], stratified(y, 360, seed=0, purpose=Purpose.SPLIT))
    rest = np.delete(np.arange(1797), ours["test"])
    np.testing.assert_array_equal(ours["validation"],
                                  rest[stratified(y[rest], 360, seed=0, purpose=Purpose.SPLIT)])
    for name, digest in (("test", "624f6d18816dfd2b"), ("validation", "c70c9516dd8b0d69")):
        assert hashlib.sha256(ours[name].astype("<i2").tobytes()).hexdigest()[:16] == digest


def test_the_parts_are_disjoint_and_whole():
    digits, ours = load("digits"), stored()
    assert digits.sizes == {"train": 1077, "validation": 360, "test": 360}
    mask = np.ones(1797, bool)
    for name in ("validation", "test"):
        np.testing.assert_array_equal(digits.splits[name].x, ours["x"][ours[name]])
        np.testing.assert_array_equal(digits.splits[name].y, ours["y"][ours[name]])
        mask[ours[name]] = False
    np.testing.assert_array_equal(digits.train.x, ours["x"][mask])
    np.testing.assert_array_equal(digits.train.y, ours["y"][mask])


def test_without_a_validation_split_they_are_what_they_were_before_there_were_three_parts():
    digits, ours = load("digits", validation_split=0), stored()
    assert (digits.sizes, digits.validated_on_test) == ({"train": 1437, "validation": 360}, True)
    np.testing.assert_array_equal(digits.validation.x, ours["x"][ours["test"]])
    assert digits.digest == "0375a7b3"  # As an earlier reglab told it.


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.9])
def test_neither_fraction_nor_seed_changes_the_parts(fraction):
    assert load("digits", validation_split=fraction, seed=7).digest == load("digits").digest


def test_every_class_has_its_share():
    digits = load("digits")
    counts = {name: np.bincount(part.y) for name, part in digits.splits.items()}
    everything = sum(counts.values())
    np.testing.assert_allclose(counts["test"] / everything, 360 / 1797, atol=1 / 174)
    np.testing.assert_allclose(counts["validation"] / (everything - counts["test"]), 360 / 1437, atol=1 / 138)


def test_types_and_facts():
    digits = load("digits")
    assert (digits.train.x.dtype, digits.train.y.dtype, digits.train.x.shape) == (np.uint8, np.int32, (1077, 64))
    assert (digits.classes, digits.input_shape, digits.divisor, digits.dtype) == (10, (8, 8), 16.0, "uint8")
    assert digits.train.x.max() == 16
    assert digits.description == "digits: 1,077 training, 360 validation and 360 test images of 8x8, 10 classes"
