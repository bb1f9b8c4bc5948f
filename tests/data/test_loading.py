import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.data import from_arrays, load


def test_the_flags_are_applied_to_the_digits():
    whole, part = load("digits"), load("digits", train_size=200, label_noise=0.25, validation_split=0.5, seed=9)
    assert part.sizes == {"train": 200, "validation": 360, "test": 360}
    for split in ("validation", "test"):
        np.testing.assert_array_equal(part.splits[split].x, whole.splits[split].x)
        np.testing.assert_array_equal(part.splits[split].y, whole.splits[split].y)
    clean = load("digits", train_size=200, seed=9)
    np.testing.assert_array_equal(part.train.x, clean.train.x)
    assert np.sum(part.train.y != clean.train.y) == 50


def test_one_seed_gives_one_data_set():
    first, again, other = (load("digits", train_size=100, label_noise=0.5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train.x, again.train.x)
    np.testing.assert_array_equal(first.train.y, again.train.y)
    assert first.train.x.tolist() != other.train.x.tolist()


def test_too_large_a_subset_names_both_numbers():
    with pytest.raises(ConfigError, match="^--train_size=2000: digits has 1077 training examples; give a number from"):
        load("digits", train_size=2000)


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="^--dataset=imagenet: choose one of digits, mnist"):
        load("imagenet")


def test_the_digest_tells_data_apart():
    x, y = np.arange(24, dtype=np.uint8).reshape(12, 2), np.arange(12) % 2
    made = from_arrays(x, y, x, y)
    assert made.digest == from_arrays(x.copy(), y.copy(), x, y).digest
    for other in (from_arrays(x[::-1], y, x, y), from_arrays(x, 1 - y, x, y), from_arrays(x * 1., y, x * 1., y),
                  from_arrays(x, y, x[::-1], y), from_arrays(x, y), from_arrays(x, y, x, y, seed=1),
                  from_arrays(x, y, x, y, validation_split=0)):
        assert other.digest != made.digest


def test_the_test_part_decides_nothing_about_the_others():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 3)).astype(np.uint8), rng.integers(0, 4, 60)
    made, other = (from_arrays(x, y, test, 3 - y, train_size=20, label_noise=0.2) for test in (x, 255 - x))
    for split in ("train", "validation"):
        np.testing.assert_array_equal(made.splits[split].x, other.splits[split].x)
        np.testing.assert_array_equal(made.splits[split].y, other.splits[split].y)
    assert made.facts["digests"]["validation"] == other.facts["digests"]["validation"]
    assert made.facts["digests"]["test"] != other.facts["digests"]["test"]
