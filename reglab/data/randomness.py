"""Random numbers that never change: the only source of randomness for the data."""

from __future__ import annotations

import enum
from typing import Final

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError

_WORD: Final = 2**64


class Purpose(enum.IntEnum):
    """What a stream of random words is for. The numbers are part of every result: never renumber them."""

    ORDER = 0
    SUBSET = 1
    NOISY_EXAMPLES = 2
    NOISY_LABELS = 3
    SPLIT = 4
    FOLDS = 5
    TEST = 6


def random_words(seed: int, purpose: Purpose, size: int, *, block: int = 0) -> npt.NDArray[np.uint64]:
    """Returns `size` random 64-bit words, uint64 [size], a function of the arguments alone.

    Raises:
      ConfigError: the seed is not in [0, 2^64).
    """
    # NumPy promises the raw stream of a bit generator for ever (NEP 19), but not what the methods of `Generator` make
    # of it, such as `permutation`; so only raw words are used. Philox is counter-based: its key is (seed, purpose), so
    # no purpose shares words with another, and `block` is the counter's top word, so no epoch overlaps the next.
    if not 0 <= seed < _WORD:
        raise ConfigError(f"--data_seed={seed}: give a whole number from 0 to {_WORD - 1}")
    key, counter = np.array([seed, purpose], np.uint64), np.array([0, 0, 0, block], np.uint64)
    words: npt.NDArray[np.uint64] = np.random.Philox(key=key, counter=counter).random_raw(size)
    return words


def permutation(seed: int, purpose: Purpose, size: int, *, block: int = 0) -> npt.NDArray[np.int32]:
    """Returns a random permutation of 0 … size-1, int32 [size], a function of the arguments alone.

    The method is to sort random keys. Each key carries its index in its low bits, so no two are equal: every sorting
    algorithm gives the same order, and a plain sort, which is faster than argsort, is enough.

    Raises:
      ConfigError: the seed is not in [0, 2^64).
    """
    index_bits = np.uint64(size.bit_length())
    keys = random_words(seed, purpose, size, block=block)
    keys >>= index_bits
    keys <<= index_bits
    keys |= np.arange(size, dtype=np.uint64)
    keys.sort()
    keys &= (np.uint64(1) << index_bits) - np.uint64(1)
    return keys.astype(np.int32)


def epoch_order(seed: int, epoch: int, size: int) -> npt.NDArray[np.int32]:
    """Returns the order in which epoch `epoch` visits `size` training examples: a permutation, int32 [size].

    It depends on nothing but its arguments, so a resumed run needs no state other than its step.

    Raises:
      ConfigError: the seed is not in [0, 2^64).
    """
    return permutation(seed, Purpose.ORDER, size, block=epoch)
