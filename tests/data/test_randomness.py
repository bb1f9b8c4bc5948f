import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.data.randomness import Purpose, epoch_order, permutation, random_words


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 9, 1437, 60_000])
def test_an_order_is_a_permutation(size):
    order = epoch_order(3, 5, size)
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_the_streams_never_change():
    # Literals: a change here changes every result that anyone has published with a seed.
    assert epoch_order(0, 0, 8).tolist() == [0, 2, 1, 5, 4, 3, 6, 7]
    assert epoch_order(0, 1, 8).tolist() == [7, 4, 2, 6, 5, 0, 1, 3]
    assert epoch_order(1, 2, 60_000)[:5].tolist() == [4475, 3485, 52308, 54210, 11199]


def test_the_order_sorts_the_words():
    size = 1000  # small enough that the 54 bits that are compared hold no tie
    words = random_words(7, Purpose.ORDER, size, block=2)
    np.testing.assert_array_equal(epoch_order(7, 2, size), np.argsort(words, kind="stable"))


def test_seed_epoch_and_purpose_each_give_another_order():
    orders = [permutation(seed, purpose, 100, block=block).tolist()
              for seed in (0, 1, 2**64 - 1) for purpose in Purpose for block in (0, 1)]
    assert len({tuple(order) for order in orders}) == len(orders) == 6 * len(Purpose)


def test_blocks_do_not_overlap():
    first, second = (set(random_words(0, Purpose.ORDER, 5000, block=block).tolist()) for block in (0, 1))
    assert not first & second


def test_positions_are_uniform():
    orders = np.array([epoch_order(0, epoch, 10) for epoch in range(2000)])
    counts = np.array([np.bincount(column, minlength=10) for column in orders.T])
    assert np.sum((counts - 200.0) ** 2 / 200) < 140  # about chi-squared with 81 degrees of freedom: p = 5e-5


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ConfigError, match=f"^--data_seed={seed}: give a whole number from 0 to 18446744073709551615$"):
        epoch_order(seed, 0, 4)
