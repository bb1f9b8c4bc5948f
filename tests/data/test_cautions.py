import numpy as np
import pytest

from reglab.config import Config
from reglab.data import from_arrays, load, prepared

X = np.tile([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]], (30, 1))
Y = np.arange(60) % 3


@pytest.mark.parametrize("scales, extent", [
    ([1, 1, 1], None), ([0.02, 0.1, 5], None), ([1e-6, 1, 1], None), ([0, 0, 0], None), ([1, 1, 1000], "1 to 1,000 "),
    ([1e-3, 1e-4, 1e-3], "0.0001 to 0.001 "), ([1e9, 1e9, 1e9], "1e+09 "), ([4e5, 4e5, 4e5], "400,000 ")])
def test_features_that_are_far_from_scaled_are_told(scales, extent):
    made = from_arrays(X * scales, Y)
    if extent is None:
        assert made.cautions == () and "caution" not in made.facts
        return
    (said,) = made.cautions
    assert said.startswith(f"The features are of size {extent}") and said.endswith("--standardize scales them.")
    assert made.caution == {"caution": said} and made.facts["caution"] == said
    assert prepared(Config(standardize=True), made).cautions == ()


def test_bytes_are_scaled_already():
    assert from_arrays((X * 50 + 100).astype(np.uint8), Y).cautions == () == load("digits").cautions


@pytest.mark.parametrize("labels, missing", [
    (["a", "b", "c", "d"], "any of the classes b, c, d"), (["a", "b"], "class b"),
    ([0, 1, 2, 3, 4, 5], "any of the classes 1, 2, 3 and 2 more")])
def test_classes_without_a_training_example_are_told(labels, missing):
    made = from_arrays(X, np.full(60, labels[0]), X[:len(labels)], np.array(labels))
    assert made.cautions == (f"No training example has {missing}.",)
