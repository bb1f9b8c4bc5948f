"""L2: the sum of squares, which shrinks all entries in proportion."""

from __future__ import annotations

from reglab.core.lazily import np, tf
from reglab.core.penalties.base import Penalty, at_least_float32


class L2(Penalty):
    """Ω(W) = Σ W², ridge (Hoerl and Kennard 1970), without ½: the convention of `keras.regularizers`."""

    name = "l2"
    title = "L2"
    formula = "sum W^2"
    symbol = "w²"
    norm_formula = "sqrt(sum W^2)"
    help = "Strength of the L2 penalty."
    source = "Hoerl and Kennard 1970, Ridge regression: biased estimation for nonorthogonal problems"
    is_smooth = True
    is_standing = True
    degree = 2
    slope = 2

    def terms(self, w: tf.Tensor) -> tf.Tensor:
        """Returns W²."""
        return tf.square(at_least_float32(w))

    def gradient(self, w: tf.Tensor) -> tf.Tensor:
        """Returns 2·W."""
        return 2 * w

    def proximal(self, w: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        """Returns W / (1 + 2·threshold), entry by entry."""
        return w / (1 + 2 * threshold)

    def norm(self, value: np.ndarray) -> np.ndarray:
        """√ Σ W²."""
        root: np.ndarray = np.sqrt(value)
        return root

    def joined(self, norms: np.ndarray) -> np.ndarray:
        """The root of the sum of squares."""
        root: np.ndarray = np.sqrt(np.sum(np.square(norms), axis=0))
        return root
