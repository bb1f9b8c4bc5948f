"""What a penalty is: a function Ω of an array of weights, with all that training and people need to know of it.

A penalty of strength λ on an array W adds λ·Ω(W) to the objective. Only Ω(W) and its gradient have to be written
down. Words are read without TensorFlow, so modules of penalties import it by `reglab.core.lazily`.
"""

from __future__ import annotations

import abc
from typing import ClassVar

from reglab.core.lazily import np, tf


class Penalty(abc.ABC):
    """A function Ω of an array W, a float tensor of any shape.

    Results keep the dtype of W unless said; W may be under `tf.vectorized_map` and XLA.

    Attributes:
      name: of its flag, its field of `Config`, its tags and columns: a Python identifier, such as `l1`.
      title: its name in sentences and pictures, such as `L1`.
      formula: Ω in ASCII, such as `sum |W|`.
      symbol: what one entry w adds to Ω, as pictures name it, such as `|w|`.
      norm_formula: in ASCII, what `norm` gives.
      help: what its flag is for.
      source: where it is described.
      is_smooth: whether Ω has a gradient everywhere.
      is_standing: whether it is a term of every program, also where its strength is 0. The others are left out of the
        programs that give them no strength, so that nobody pays for them.
      degree: the p for which Ω(c·W) = cᵖ·Ω(W) for every c > 0, or None where there is none.
      slope: the c for which the gradient is c·W, or None where there is none.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    formula: ClassVar[str]
    symbol: ClassVar[str]
    norm_formula: ClassVar[str]
    help: ClassVar[str]
    source: ClassVar[str]
    is_smooth: ClassVar[bool] = False
    is_standing: ClassVar[bool] = False
    degree: ClassVar[float | None] = None
    slope: ClassVar[float | None] = None

    @abc.abstractmethod
    def terms(self, w: tf.Tensor) -> tf.Tensor:
        """An array shaped like W whose entries sum to Ω(W), float32 at least. What is measured is summed from it."""

    @abc.abstractmethod
    def gradient(self, w: tf.Tensor) -> tf.Tensor:
        """A subgradient of Ω at W, shaped like W: the one of least norm where several exist."""

    @abc.abstractmethod
    def proximal(self, w: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        """The proximal operator, shaped like W (Parikh and Boyd 2014, eq. 1.1), in the metric of the thresholds t:

            argmin over V of Σ_i (V_i − W_i)² / (2·t_i) + Ω(V)

        Args:
          threshold: learning rate times strength, at least 0: a scalar, or one for each entry.
        """

    @abc.abstractmethod
    def distance(self, w: tf.Tensor, gradient: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        """How far W is from a stationary point of f + strength·Ω: the norm of the subgradient of least norm.

        A scalar, float32 at least; 0 exactly where −gradient ∈ strength·∂Ω(W).

        Args:
          gradient: of f at W, shaped like W.
          strength: a scalar.
        """

    def norm(self, value: np.ndarray) -> np.ndarray:
        """The size of an array that people read, of its Ω, entry by entry: Ω itself if a class says nothing else."""
        return value

    def joined(self, norms: np.ndarray) -> np.ndarray:
        """[arrays, ...] norms of several arrays, to [...] that of all of them as one."""
        total: np.ndarray = np.sum(norms, axis=0)
        return total


def value(penalty: Penalty, w: tf.Tensor) -> tf.Tensor:
    """Ω(W): a scalar, float32 at least."""
    return tf.reduce_sum(penalty.terms(w))


def at_least_float32(w: tf.Tensor) -> tf.Tensor:
    """W, in float32 if its own dtype is smaller: what is summed is summed in that."""
    return w if w.dtype.size >= 4 else tf.cast(w, tf.float32)


def norm_of(array: tf.Tensor) -> tf.Tensor:
    """√ Σ a², in float32 at least."""
    return tf.sqrt(tf.reduce_sum(tf.square(at_least_float32(array))))
