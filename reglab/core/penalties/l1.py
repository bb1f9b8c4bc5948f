"""L1: the sum of absolute values, which drives entries to zero."""

from __future__ import annotations

from reglab.core.elementwise import sign
from reglab.core.lazily import tf
from reglab.core.penalties.base import Penalty, at_least_float32


class L1(Penalty):
    """Ω(W) = Σ |W|, the lasso (Tibshirani 1996)."""

    name = "l1"
    title = "L1"
    formula = "sum |W|"
    symbol = "|w|"
    norm_formula = "sum |W|"
    help = "Strength of the L1 penalty."
    source = "Tibshirani 1996, Regression shrinkage and selection via the lasso"
    is_standing = True
    degree = 1

    def terms(self, w: tf.Tensor) -> tf.Tensor:
        """Returns |W|."""
        return tf.abs(at_least_float32(w))

    def gradient(self, w: tf.Tensor) -> tf.Tensor:
        """Returns sign(W), with sign(0) = 0."""
        return sign(w)

    def proximal(self, w: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        """Soft thresholding, entry by entry: sign(W)·max(|W| − threshold, 0), never −0.

        It is W minus its projection on [−threshold, threshold] (Moreau's decomposition; Parikh and Boyd 2014, eq. 2.4).
        """
        return w - tf.maximum(tf.minimum(w, threshold), -threshold)

    def least_subgradient(self, w: tf.Tensor, gradient: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        """Returns gradient + strength·sign(W) where W ≠ 0, and the gradient moved by strength towards 0 elsewhere."""
        at_zero = gradient - tf.clip_by_value(gradient, -strength, strength)
        return tf.where(w == 0, at_zero, gradient + strength * sign(w))
