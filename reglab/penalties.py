"""Weight penalties: what may be added to the data loss, each with its value, gradient and proximal operator.

A penalty of strength λ on a kernel W adds λ·Ω(W) to the objective. Each class here owns Ω:

    L1: Ω(W) = Σ |W|     (the lasso; Tibshirani 1996)
    L2: Ω(W) = Σ W²      (ridge, without ½: the convention of `keras.regularizers`)

Ω is a sum of terms of W's entries, taken in float32 at least, whatever the dtype of the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import tensorflow as tf


class Penalty(Protocol):
    """One term of the objective. `kernel` is a float tensor of any shape; results keep its dtype unless said."""

    def terms(self, kernel: tf.Tensor) -> tf.Tensor:
        """What Ω sums: shaped like W, float32 at least."""

    def gradient(self, kernel: tf.Tensor) -> tf.Tensor:
        """A subgradient of Ω at W, shaped like W: the one of least norm where several exist."""

    def proximal(self, kernel: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        """argmin over V of ½·Σ (V − W)² + threshold·Ω(V), shaped like W (Parikh and Boyd 2014, eq. 1.1)."""


class L1:
    """Ω(W) = Σ |W|. Drives entries to zero."""

    def terms(self, kernel: tf.Tensor) -> tf.Tensor:
        """|W|."""
        return tf.abs(_at_least_float32(kernel))

    def gradient(self, kernel: tf.Tensor) -> tf.Tensor:
        """sign(W), with sign(0) = 0."""
        return tf.sign(kernel)

    def proximal(self, kernel: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        """Soft thresholding: sign(W)·max(|W| − threshold, 0)."""
        return tf.sign(kernel) * tf.maximum(tf.abs(kernel) - threshold, 0)


class L2:
    """Ω(W) = Σ W². Shrinks all entries in proportion."""

    def terms(self, kernel: tf.Tensor) -> tf.Tensor:
        """W²."""
        return tf.square(_at_least_float32(kernel))

    def gradient(self, kernel: tf.Tensor) -> tf.Tensor:
        """2·W."""
        return 2 * kernel

    def proximal(self, kernel: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        """W / (1 + 2·threshold)."""
        return kernel / (1 + 2 * threshold)


PENALTIES: Final[Mapping[str, Penalty]] = {"l1": L1(), "l2": L2()}


def value(penalty: Penalty, kernel: tf.Tensor) -> tf.Tensor:
    """Ω(W): a scalar, float32 at least."""
    return tf.reduce_sum(penalty.terms(kernel))


def _at_least_float32(kernel: tf.Tensor) -> tf.Tensor:
    return kernel if kernel.dtype.size >= 4 else tf.cast(kernel, tf.float32)
