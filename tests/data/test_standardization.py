import json

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from reglab.config import Config, ConfigError
from reglab.data import Dataset, Examples, from_arrays, prepared
from reglab.data.standardization import Standardization, standardization_of
from reglab.sweep.folds import fold_dataset

RANDOM = np.random.default_rng(0)
X = RANDOM.normal([1e6, -3, 0, 2], [1, 1e-3, 1e4, 5], (300, 4)).astype(np.float32)
Y = np.arange(300) % 2


@pytest.mark.parametrize("x", [X, (X % 256).astype(np.uint8), np.concatenate([X] * 50, 1)[:, :3000]])
def test_it_is_that_of_scikit_learn_in_float64(x):
    made, theirs = standardization_of("x", x), StandardScaler().fit(x.astype(np.float64))
    np.testing.assert_allclose(made.mean, theirs.mean_, rtol=1e-13)
    np.testing.assert_allclose(made.std, theirs.scale_, rtol=1e-9)
    np.testing.assert_allclose((x - made.mean) / made.divisor, theirs.transform(x.astype(np.float64)), atol=1e-8)


def test_a_constant_feature_is_0_whatever_its_value():
    x = np.array([[0.1, 1e-42, 3.0], [0.1, 2e-42, 4.0], [0.1, 0, 5.0]], np.float32)
    made = standardization_of("x", x)
    assert made.std[:2].tolist() == [0, 0] and made.mean[0] == np.float32(0.1)
    np.testing.assert_array_equal(((np.array([7.0, 8.0, 4.0]) - made.mean) / made.divisor), [0, 0, 0])


def test_differences_beyond_float32_and_too_many_features_are_refused():
    with pytest.raises(ConfigError, match=r"^--standardize: feature 1 of mine goes from -3e\+38 to 3e\+38, which is b"):
        standardization_of("mine", np.array([[0, -3e38], [0, 3e38]], np.float32))
    with pytest.raises(ConfigError, match="has 100,001 features, and at most 100,000 are standardized"):
        standardization_of("mine", np.zeros([1, 100_001], np.uint8))


def test_it_comes_back_from_json_to_the_bit_and_damage_is_found():
    made = standardization_of("x", X)
    back = Standardization.from_dict(json.loads(json.dumps(made.to_dict())), 4)
    np.testing.assert_array_equal([back.mean, back.std], [made.mean, made.std])
    for wrong in (None, {}, {"mean": [1.0], "std": [1.0]}, {**made.to_dict(), "std": [1, 2, 3, -1]},
                  {**made.to_dict(), "mean": [1, 2, 3, None]}, {**made.to_dict(), "mean": "abcd"}):
        with pytest.raises((ValueError, TypeError)):
            Standardization.from_dict(wrong, 4)


def test_the_training_split_alone_tells_it_and_each_fold_has_its_own():
    data = prepared(Config(standardize=True), from_arrays(X, Y, X + 1e5, Y, label_noise=0.2, train_size=100))
    np.testing.assert_array_equal(data.standardization.mean, standardization_of("", data.train.x).mean)
    assert data.facts["standardization"] == data.standardization.to_dict()
    assert data.description.endswith(", standardized")
    folds = [fold_dataset(data, 3, k, seed=0) for k in range(3)]
    for fold in folds:
        np.testing.assert_allclose(fold.standardization.mean, fold.train.x.mean(0, np.float64))
    assert len({fold.standardization.mean[0] for fold in folds}) == 3


def test_without_it_nothing_is_told_and_data_are_told_apart_by_what_they_are():
    plain = Dataset("made", Examples(X, Y.astype(np.int32)), Examples(X, Y.astype(np.int32)), 2, (4,), 1.0)
    made = prepared(Config(standardize=True), plain)
    assert plain.standardization is None and "standardization" not in plain.facts
    assert made.digest == plain.digest and prepared(Config(), made).standardization is None
    assert prepared(Config(), plain) is plain
