"""Random bits as a function of a key and a counter, for random numbers drawn in training.

TensorFlow's own stateless operations draw a whole array from one seed, so an entry would depend on which share of the
batch a replica has; and under `tf.vectorized_map` they fall back to a loop over the lanes. This generator computes each
entry separately, with sums, shifts and exclusive ors.
"""

from __future__ import annotations

from typing import Final

from reglab.core.lazily import tf
from reglab.core.models.base import Mode

Words = tuple["tf.Tensor", "tf.Tensor"]
"""Two uint32 arrays whose shapes broadcast."""

_ROTATIONS: Final = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY: Final = 0x1BD11BDA


def threefry(key: Words, counter: Words) -> Words:
    """Threefry-2x32, 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3)."""
    schedule = (*key, key[0] ^ key[1] ^ tf.constant(_PARITY, tf.uint32))
    x, y = counter[0] + key[0], counter[1] + key[1]
    for block in range(5):
        for rotation in _ROTATIONS[block % 2]:
            x = x + y
            y = _rotated(y, rotation) ^ x
        x = x + schedule[(block + 1) % 3]
        y = y + schedule[(block + 2) % 3] + tf.constant(block + 1, tf.uint32)
    return x, y


def dropout(x: tf.Tensor, rate: float, mode: Mode, layer: int) -> tf.Tensor:
    """In training, sets each entry to 0 with probability `rate`, else to x / (1 − rate) (Srivastava et al. 2014, §10).

    Which entries are dropped is a function of the seed, the step, the layer and the place in the global batch.

    Args:
      x: [examples, units].
      layer: a number that makes different layers draw differently.
    """
    if not mode.training or not rate:
        return x
    zero = tf.constant(0, tf.uint32)
    key = threefry((mode.seed[0], mode.seed[1]), (tf.constant(layer, tf.uint32), zero))
    rows = tf.cast(mode.places, tf.uint32)[:, None]
    columns = tf.cast(tf.range(x.shape[1]), tf.uint32)[None]
    bits, _ = threefry(key, (rows + zero * columns, columns + zero * rows))
    return tf.where(bits >= tf.constant(int(rate * 2**32), tf.uint32), x / (1 - rate), tf.zeros_like(x))


def _rotated(word: tf.Tensor, by: int) -> tf.Tensor:
    left = tf.bitwise.left_shift(word, tf.constant(by, tf.uint32))
    return left | tf.bitwise.right_shift(word, tf.constant(32 - by, tf.uint32))
