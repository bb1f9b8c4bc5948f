import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.data.examples import Dataset, Examples
from reglab.data.randomness import Purpose
from reglab.data.sampling import noisy_labels, sample, split, stratified

Y = np.repeat(np.arange(3, dtype=np.int32), [50, 30, 20])[np.random.RandomState(0).permutation(100)]


def examples(y=Y):
    return Examples(np.arange(len(y), dtype=np.float32).reshape(-1, 1), y)


def dataset():
    return Dataset("made", examples(), examples(), 3, (1,), 1.0)


@pytest.mark.parametrize("size, counts", [(100, [50, 30, 20]), (10, [5, 3, 2]), (11, [6, 3, 2]), (1, [1, 0, 0]),
                                          (4, [2, 1, 1]), (99, [49, 30, 20])])
def test_each_class_has_its_share_and_the_sum_is_exact(size, counts):
    chosen = stratified(Y, size, seed=1, purpose=Purpose.SUBSET)
    assert np.bincount(Y[chosen], minlength=3).tolist() == counts
    assert np.all(np.diff(chosen) > 0)


def test_a_class_without_examples_has_no_share():
    assert stratified(np.array([0, 2, 2], np.int32), 2, seed=0, purpose=Purpose.SUBSET).tolist()[0] in (0, 1)
    assert len(stratified(np.array([5] * 4, np.int32), 3, seed=0, purpose=Purpose.SUBSET)) == 3


def test_the_choice_depends_on_seed_and_purpose_only():
    first = stratified(Y, 30, seed=1, purpose=Purpose.SUBSET)
    np.testing.assert_array_equal(first, stratified(Y, 30, seed=1, purpose=Purpose.SUBSET))
    assert first.tolist() != stratified(Y, 30, seed=2, purpose=Purpose.SUBSET).tolist()
    assert first.tolist() != stratified(Y, 30, seed=1, purpose=Purpose.SPLIT).tolist()


def test_a_split_parts_the_examples_in_order():
    train, held_out = split(examples(), 0.2, seed=0)
    assert np.bincount(held_out.y).tolist() == [10, 6, 4]
    np.testing.assert_array_equal(np.sort(np.concatenate([train.x, held_out.x]), axis=0), examples().x)
    for part in (train, held_out):
        assert np.all(np.diff(part.x[:, 0]) > 0)
        np.testing.assert_array_equal(part.y, Y[part.x[:, 0].astype(int)])


@pytest.mark.parametrize("fraction", [0.0, 0.004, 0.996, 1.0, -0.2, float("nan")])
def test_a_split_that_leaves_a_side_empty_is_refused(fraction):
    with pytest.raises(ConfigError, match=r"^--validation_split=.* of 100 training examples would be held out"):
        split(examples(), fraction, seed=0)


@pytest.mark.parametrize("fraction, changed", [(0.0, 0), (0.004, 0), (0.1, 10), (0.333, 33), (1.0, 100)])
def test_exactly_the_fraction_of_labels_changes(fraction, changed):
    before = Y.copy()
    noisy = noisy_labels(Y, fraction, 3, seed=4)
    assert np.sum(noisy != Y) == changed
    assert noisy.dtype == np.int32 and noisy.min() >= 0 and noisy.max() < 3
    np.testing.assert_array_equal(Y, before)


def test_new_labels_are_uniform_over_the_other_classes():
    y = np.repeat(np.arange(4, dtype=np.int32), 3000)
    noisy = noisy_labels(y, 1.0, 4, seed=0)
    counts = np.array([np.bincount(noisy[y == label], minlength=4) for label in range(4)])
    assert np.diag(counts).tolist() == [0, 0, 0, 0]
    others = counts[~np.eye(4, dtype=bool)]
    assert np.abs(others - 1000).max() < 130  # five standard deviations


def test_more_noise_changes_the_same_examples_and_more():
    little, much = (noisy_labels(Y, fraction, 3, seed=0) for fraction in (0.1, 0.5))
    changed = little != Y
    np.testing.assert_array_equal(little[changed], much[changed])


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_bad_fraction_of_noise_is_refused(fraction):
    with pytest.raises(ConfigError, match=f"^--label_noise={fraction}: give a fraction from 0 to 1$"):
        noisy_labels(Y, fraction, 3, seed=0)


def test_noise_comes_after_the_subset_and_spares_validation():
    made = sample(dataset(), train_size=50, label_noise=0.2, seed=0)
    kept = made.train.x[:, 0].astype(int)
    assert len(kept) == 50 and np.all(np.diff(kept) > 0)
    assert np.sum(made.train.y != Y[kept]) == 10
    np.testing.assert_array_equal(made.validation.y, Y)


@pytest.mark.parametrize("size", [0, 101])
def test_a_subset_that_is_not_there_is_refused(size):
    with pytest.raises(ConfigError, match=f"^--train_size={size}: made has 100 training examples; give a number from"):
        sample(dataset(), train_size=size, label_noise=0.0, seed=0)
