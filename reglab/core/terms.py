"""The terms of the objective, and the sums over a kernel that are needed to report them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import tensorflow as tf

from reglab.core.covering import apart, joined
from reglab.core.penalties import Penalty, value

SPARSITY_THRESHOLD: Final = 1e-3
"""A kernel entry counts as zero if |w| is at most this: with subgradient steps of Adam at its default rate of 1e-3,
entries that a penalty holds at zero keep jittering within this range."""


class Term(NamedTuple):
    """A part of the objective: Σ_k λ_k · Ω(W_k). The strengths λ are in `step.Hyperparameters`, by penalty name.

    W_k is the kernel of a layer or, if the penalty covers biases, what `covering.joined` makes of both.
    """

    penalty: Penalty
    layers: tuple[str, ...]  # The layers that it covers, in the order of its strengths.
    proximal: bool = False  # Whether it acts by its proximal operator rather than by its gradient.

    @property
    def name(self) -> str:
        """The name of the penalty."""
        return self.penalty.name

    def value(self, arrays: Sequence[tf.Tensor], strengths: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """Computes Σ_k λ_k · Ω(W_k), a scalar of `dtype`, from the W_k of its layers and their [layers] λ."""
        nothing = tf.zeros([], dtype)  # There may be no layers.
        return tf.add_n([nothing, *(strengths[k] * value(self.penalty, w) for k, w in enumerate(arrays))])

    def gradient(self, w: tf.Tensor, strengths: tf.Tensor, layer: str) -> tf.Tensor:
        """Computes λ_k · ∇Ω(W_k) for W_k of one of the layers, shaped like it."""
        return strengths[self.layers.index(layer)] * self.penalty.gradient(w)

    def apply_proximal(self, w: tf.Tensor, strengths: tf.Tensor, layer: str, rates: tf.Tensor) -> tf.Tensor:
        """Applies the proximal operator of λ_k · Ω to W_k of one of the layers, in the metric of the rates.

        Args:
          rates: the rates of the update before it, a scalar or shaped like W_k.
        """
        return self.penalty.proximal(w, rates * strengths[self.layers.index(layer)])


class Sum(NamedTuple):
    """A sum over the entries of a kernel, identified by the penalties it concerns.

    No penalty: the number of entries with |w| at most `threshold`. One: its Ω. Two: ⟨∇Ω, ∇Ω'⟩.
    """

    penalties: tuple[Penalty, ...]
    threshold: float = SPARSITY_THRESHOLD

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the penalties."""
        return tuple(penalty.name for penalty in self.penalties)

    def entries(self, kernel: tf.Tensor, bias: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the entries to be summed, shaped like the kernel, and like the bias if all penalties cover it."""
        if not self.penalties:
            return (kernel >= -self.threshold) & (kernel <= self.threshold), None
        if len(self.penalties) == 1:
            penalty, = self.penalties
            return apart(penalty, penalty.terms(joined(penalty, kernel, bias)), kernel, bias)
        gradients = [apart(penalty, penalty.gradient(joined(penalty, kernel, bias)), kernel, bias)
                     for penalty in self.penalties]
        of_kernel, of_bias = zip(*gradients, strict=True)
        return math.prod(of_kernel), None if any(part is None for part in of_bias) else math.prod(of_bias)


SMALL: Final = Sum(())
"""Counts the small entries."""
ZEROS: Final = Sum((), 0.0)
"""Counts the entries that are exactly 0. Only where some term acts by its proximal operator: nothing else makes any."""


def sums_of(terms: Sequence[Term]) -> tuple[Sum, ...]:
    """Lists all sums needed to report these terms: their values, the counts of entries, products of gradients.

    A product that follows from a value by `product_factor` is left out.
    """
    penalties = [term.penalty for term in terms]
    products = [pair for pair in itertools.combinations_with_replacement(penalties, 2) if product_factor(*pair) is None]
    counts = [SMALL, ZEROS] if any(term.proximal for term in terms) else [SMALL]
    return (*(Sum((penalty,)) for penalty in penalties), *counts, *map(Sum, products))


def product_factor(one: Penalty, other: Penalty) -> tuple[Penalty, float] | None:
    """Returns a penalty Ω and the c such that ⟨∇one, ∇other⟩ = c·Ω(W) for every W, or None.

    If ∇other = s·W and one has degree p, Euler's theorem on homogeneous functions gives ⟨∇one, s·W⟩ = s·p·one(W); and
    likewise with the two exchanged. Both have to cover the same arrays.
    """
    if one.covers_bias != other.covers_bias:
        return None
    for first, second in ((one, other), (other, one)):
        if first.degree is not None and second.slope is not None:
            return first, second.slope * first.degree
    return None


def kernel_sums(sums: Sequence[Sum], kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """Computes the [sums] over one kernel and its bias.

    Each row is a product with ones, which XLA compiles faster than a reduction.

    A product adds entries one after another, so it is done row by row: in float32, a whole 4096 x 4096 kernel as a
    single product was off by 4e-4.
    """
    dtype = kernel.dtype if kernel.dtype.size >= 4 else tf.float32
    of_kernel, of_bias = zip(*(one.entries(kernel, bias) for one in sums), strict=True)
    entries = tf.stack([tf.cast(part, dtype) for part in of_kernel])
    kinds, columns = entries.shape[0], entries.shape[-1]
    rows = entries.shape.num_elements() // (kinds * columns)  # All axes of the kernel but the last, taken together.
    of_rows = tf.linalg.matvec(tf.reshape(entries, [kinds * rows, columns]), tf.ones([columns], dtype))
    total = tf.reduce_sum(tf.reshape(of_rows, [kinds, rows]), 1)
    if all(part is None for part in of_bias):
        return total
    return total + tf.stack([tf.zeros([], dtype) if part is None else tf.reduce_sum(tf.cast(part, dtype))
                             for part in of_bias])
