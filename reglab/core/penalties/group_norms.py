"""The proximal operator of a norm in a diagonal metric, for many groups at once.

    argmin over v of Σ_i (v_i − w_i)² / (2·t_i) + ‖v‖

is 0 if Σ_i (w_i / t_i)² ≤ 1. Otherwise v_i = w_i·r / (r + t_i), where r = ‖v‖ is the root of

    φ(r) = Σ_i w_i² / (r + t_i)² = 1.

φ^(−½) is concave and increasing in r, and φ is so in 1/r². So from any r, one step of Newton on the first ends at or
below the root, and one on the second at or above it: one evaluation of φ and φ' gives both ends of a bracket, each with
an error that is quadratic near the root. The next r is the geometric mean of the two, which far from the root halves
the bracket on a log scale. There is nothing to decide on the way, so all groups take the same few steps. Newton's step
on φ^(−½) is known from trust-region methods (Moré and Sorensen 1983).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reglab.core.lazily import tf

_STEPS: Final = {4: 3, 8: 8}
"""How many steps are taken, by the bytes of a float: to full precision, in float64 even if the thresholds of a group
are eight decades apart; in float32, a group that all but becomes 0 may be off by 1e-4 of its strength."""
_BARELY: Final = 1e-17


def scale_of_prox(w: tf.Tensor, thresholds: tf.Tensor, axis: int) -> tf.Tensor:
    """Returns v / w, shaped like w: from 0 to 1, and exactly 0 in groups that become 0.

    Args:
      w: a matrix, at least float32.
      thresholds: t, shaped like w, at least 0 and finite.
      axis: the axis along which a group lies.
    """
    tiny = _tiny(w.dtype)
    square = w * w
    at_zero = w / (thresholds + _BARELY * tf.abs(w) + tiny)  # Bounded, so that its square is.
    squares, at_zero = _sums([square, at_zero * at_zero], axis)
    norm = tf.sqrt(squares)
    is_zero = at_zero <= 1
    # The slope of φ^(−½) is at least 1 / ‖w‖, so r is at most this; where all t are equal it is the root.
    low, high = tf.zeros_like(norm), norm - norm / tf.sqrt(tf.maximum(at_zero, 1))
    r = high
    for _ in range(_STEPS[w.dtype.size]):
        low, high, r = _narrowed(square, thresholds, low, high, r, axis)
    r = tf.maximum(r, tiny)
    return tf.where(is_zero, tf.zeros([], w.dtype), r / (r + thresholds))


def _narrowed(square: tf.Tensor, thresholds: tf.Tensor, low: tf.Tensor, high: tf.Tensor, r: tf.Tensor,
              axis: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the bracket after one step, and the next r."""
    tiny = _tiny(r.dtype)
    inverse = 1 / tf.maximum(r + thresholds, tiny)
    terms = square * inverse * inverse
    phi, slope = _sums([terms, terms * inverse], axis)  # The slope of φ is −2 times this.
    below = r + tf.math.divide_no_nan(phi * tf.sqrt(phi) - phi, slope)
    # φ is about phi − slope·r + slope·r³ · 1/r².
    rest = 1 - (phi - slope * r)
    above = tf.where(rest > 0, r * tf.sqrt(slope * r / tf.maximum(rest, tiny)), high)
    low, high = tf.maximum(low, below), tf.minimum(high, above)
    high = tf.maximum(high, low)  # Rounding may cross them.
    return low, high, tf.sqrt(low) * tf.sqrt(high)


def _sums(matrices: Sequence[tf.Tensor], axis: int) -> list[tf.Tensor]:
    """Returns the sums of matrices of one shape along an axis, which stays, with length 1.

    On a CPU it is one product with ones, which is several times as fast as sums there. A GPU would round the factors.
    """
    if tf.config.list_logical_devices("GPU"):
        return [tf.reduce_sum(matrix, axis, keepdims=True) for matrix in matrices]
    beside = tf.concat(matrices, 1 - axis)
    ones = tf.ones([beside.shape[axis], 1], beside.dtype)
    sums = tf.matmul(beside, ones) if axis == 1 else tf.matmul(ones, beside, transpose_a=True)
    split: list[tf.Tensor] = tf.split(sums, len(matrices), 1 - axis)
    return split


def _tiny(dtype: tf.DType) -> tf.Tensor:
    """A positive number so small that dividing by it instead of 0 changes no result."""
    return tf.constant(1e-30, dtype)
