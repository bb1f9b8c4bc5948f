"""The interface of a penalty: a function Ω of an array of weights, with everything that training and reports need.

A penalty of strength λ on an array W adds λ·Ω(W) to the objective. Names and help texts are read without TensorFlow, so
modules that define penalties import it through `reglab.core.lazily`.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from reglab.core.lazily import np, tf


class Penalty(abc.ABC):
    """A function Ω of an array W, a float tensor of any shape.

    Results keep the dtype of W unless stated otherwise. All methods work under `tf.vectorized_map` and XLA.

    Attributes:
      name: the name of its flag, its field of `Config`, its tags and columns: a Python identifier, such as `l1`.
      title: its name in sentences and pictures, such as `L1`.
      formula: Ω in ASCII, such as `sum |W|`.
      symbol: what one entry w adds to Ω, as shown in pictures, such as `|w|`.
      norm_formula: the formula of `norm`, in ASCII.
      help: the help text of its flag.
      source: where it is described.
      is_smooth: whether Ω has a gradient everywhere.
      is_standing: whether it is a term of every program, even at strength 0. Other penalties are left out of programs
        that give them no strength, so that they cost nothing there.
      degree: the p for which Ω(c·W) = cᵖ·Ω(W) for every c > 0, or None if there is none.
      slope: the c for which the gradient is c·W, or None if there is none.
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

    @property
    def covers_bias(self) -> bool:
        """Whether W is the kernel of a layer together with its bias, as `core.covering` joins them."""
        return False

    def configured(self, settings: Any) -> Penalty:
        """Returns the penalty as the fields of a `Config` have it; itself if none concerns it."""
        del settings
        return self

    @abc.abstractmethod
    def terms(self, w: tf.Tensor) -> tf.Tensor:
        """Returns an array shaped like W, at least float32, whose entries sum to Ω(W). Measurements are sums of it."""

    @abc.abstractmethod
    def gradient(self, w: tf.Tensor) -> tf.Tensor:
        """Returns a subgradient of Ω at W, shaped like W: where there are several, the one of least norm."""

    @abc.abstractmethod
    def proximal(self, w: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        """Returns the proximal operator, shaped like W (Parikh and Boyd 2014, eq. 1.1), in the metric of thresholds t:

            argmin over V of Σ_i (V_i − W_i)² / (2·t_i) + Ω(V)

        Args:
          threshold: learning rate times strength, at least 0: a scalar, or shaped like W.
        """

    def least_subgradient(self, w: tf.Tensor, gradient: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        """Returns the subgradient of f + strength·Ω at W that has the least norm, shaped like W.

        It is 0 everywhere if and only if W is a stationary point, that is, −gradient ∈ strength·∂Ω(W). That of a sum of
        penalties follows by passing the result on as the gradient: smooth ones first, then L1, then norms of groups.
        The default is right wherever Ω has a gradient.

        Args:
          gradient: the gradient of f at W, shaped like W.
          strength: a scalar.
        """
        return gradient + strength * self.gradient(w)

    def distance(self, w: tf.Tensor, gradient: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        """Returns the norm of the `least_subgradient`, the distance of W from a stationary point: a scalar, at least
        float32."""
        return norm_of(self.least_subgradient(w, gradient, strength))

    def norm(self, value: np.ndarray) -> np.ndarray:
        """Converts values of Ω, entry by entry, to the norm that is reported; by default Ω itself."""
        return value

    def joined(self, norms: np.ndarray) -> np.ndarray:
        """Combines [arrays, ...] norms of several arrays into the [...] norm of all of them taken as one."""
        total: np.ndarray = np.sum(norms, axis=0)
        return total


def value(penalty: Penalty, w: tf.Tensor) -> tf.Tensor:
    """Computes Ω(W): a scalar, at least float32."""
    return tf.reduce_sum(penalty.terms(w))


def at_least_float32(w: tf.Tensor) -> tf.Tensor:
    """Returns W, cast to float32 if its dtype is smaller, so that sums are taken in float32 at least."""
    return w if w.dtype.size >= 4 else tf.cast(w, tf.float32)


def norm_of(array: tf.Tensor) -> tf.Tensor:
    """Computes √ Σ a², in float32 at least."""
    return tf.sqrt(tf.reduce_sum(tf.square(at_least_float32(array))))
