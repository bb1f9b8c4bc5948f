"""The terms of the objective, and what is summed over a kernel to report them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import tensorflow as tf

from reglab.core.penalties import Penalty, value

SPARSITY_THRESHOLD: Final = 1e-3
"""A kernel entry counts as gone when |w| is at most this: a subgradient step of Adam at its default rate of 1e-3
leaves entries that a penalty holds at zero jittering within it."""


class Term(NamedTuple):
    """A part of the objective: Σ_k λ_k · Ω(W_k). The strengths λ are in `step.Hyperparameters`, by name."""

    penalty: Penalty
    layers: tuple[str, ...]  # Those whose kernels it covers; the order of its strengths.

    @property
    def name(self) -> str:
        """That of the penalty."""
        return self.penalty.name

    def value(self, kernels: Mapping[str, tf.Tensor], strengths: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """Σ_k λ_k · Ω(W_k): a scalar of `dtype`; `strengths` are the [layers] λ, `kernels` the W by layer."""
        nothing = tf.zeros([], dtype)  # There may be no layer.
        return tf.add_n([nothing, *(strengths[k] * value(self.penalty, kernels[layer])
                                    for k, layer in enumerate(self.layers))])

    def gradient(self, kernels: Mapping[str, tf.Tensor], strengths: tf.Tensor, layer: str) -> tf.Tensor:
        """λ_k · ∇Ω(W_k) of one of the layers, shaped like its kernel."""
        return strengths[self.layers.index(layer)] * self.penalty.gradient(kernels[layer])


class Sum(NamedTuple):
    """What is summed over a kernel, named by penalties.

    Of none of them: how many entries are at most `SPARSITY_THRESHOLD`. Of one: its Ω. Of two: ⟨∇Ω, ∇Ω'⟩.
    """

    penalties: tuple[Penalty, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the penalties."""
        return tuple(penalty.name for penalty in self.penalties)

    def entries(self, kernel: tf.Tensor) -> tf.Tensor:
        """What it sums, shaped like the kernel."""
        if not self.penalties:
            return (kernel >= -SPARSITY_THRESHOLD) & (kernel <= SPARSITY_THRESHOLD)
        if len(self.penalties) == 1:
            return self.penalties[0].terms(kernel)
        return math.prod(penalty.gradient(kernel) for penalty in self.penalties)


def sums_of(terms: Sequence[Term]) -> tuple[Sum, ...]:
    """All that is summed for the reports of these terms: their values, the small entries, and products of gradients.

    A product is left out where it follows from a value, by `product_factor`.
    """
    penalties = [term.penalty for term in terms]
    products = [pair for pair in itertools.combinations_with_replacement(penalties, 2) if product_factor(*pair) is None]
    return tuple(map(Sum, (*((penalty,) for penalty in penalties), (), *products)))


def product_factor(one: Penalty, other: Penalty) -> tuple[str, float] | None:
    """The name of a penalty Ω and the c with ⟨∇one, ∇other⟩ = c·Ω(W) for every W; None where there are none.

    Where ∇other = s·W and one has degree p, Euler's theorem on homogeneous functions gives ⟨∇one, s·W⟩ = s·p·one(W).
    """
    for first, second in ((one, other), (other, one)):
        if first.degree is not None and second.slope is not None:
            return first.name, second.slope * first.degree
    return None


def kernel_sums(sums: Sequence[Sum], kernel: tf.Tensor) -> tf.Tensor:
    """[sums] over one kernel: of each row as a product with ones, which XLA compiles faster than a sum of all.

    Row by row, since a product adds up one entry after another: in float32 a whole kernel of 4096 x 4096 as a single
    product was 4e-4 off.
    """
    dtype = kernel.dtype if kernel.dtype.size >= 4 else tf.float32
    entries = tf.stack([tf.cast(one.entries(kernel), dtype) for one in sums])
    kinds, columns = entries.shape[0], entries.shape[-1]
    rows = entries.shape.num_elements() // (kinds * columns)  # Of a kernel with more than two axes, all but the last.
    of_rows = tf.linalg.matvec(tf.reshape(entries, [kinds * rows, columns]), tf.ones([columns], dtype))
    return tf.reduce_sum(tf.reshape(of_rows, [kinds, rows]), 1)
