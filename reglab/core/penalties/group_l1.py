"""Group L1: the sum of the norms of groups of weights, which drives whole units to zero."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from reglab.core.lazily import tf
from reglab.core.penalties.base import Penalty, at_least_float32
from reglab.core.penalties.group_norms import scale_of_prox


@dataclasses.dataclass(frozen=True)
class GroupL1(Penalty):
    """Ω(W) = Σ_g √size_g · ‖W_g‖, the group lasso (Yuan and Lin 2006), where a group is what a unit needs.

    With outgoing groups, a group is the weights that leave one input of the layer (a unit of the layer before it, or an
    input of the network): W[…, i, :]. With incoming groups it is the weights that reach one unit and its bias:
    W[…, j] and b[j]. Of a convolution, units are channels. An array without two axes is one group.

    With L1 before it this is the sparse group lasso (Simon et al. 2013): in any diagonal metric, soft thresholding
    followed by the operator of the groups is the operator of the sum.

    Attributes:
      groups: "outgoing" or "incoming".
    """

    groups: str = "outgoing"

    name = "group_l1"
    title = "Group L1"
    formula = "sum sqrt(size) ||W_g||"
    symbol = "√size·‖w‖"
    norm_formula = formula
    help = ("Strength of the L1 penalty on the norms of groups (group lasso), which drops whole units; --groups says "
            "what a group is. Together with --l1 the sparse group lasso.")
    source = "Yuan and Lin 2006, Model selection and estimation in regression with grouped variables"
    degree = 1

    def configured(self, settings: Any) -> GroupL1:
        """Returns the penalty of the groups that `settings.groups` names."""
        return GroupL1(settings.groups)

    @property
    def covers_bias(self) -> bool:
        """Whether the bias of a unit is in its group."""
        return self.groups == "incoming"

    def terms(self, w: tf.Tensor) -> tf.Tensor:
        """Returns √size_g · W² / ‖W_g‖, and 0 where a group is 0."""
        w = at_least_float32(w)
        return self._root_of_size(w) * w * self._direction(w)

    def gradient(self, w: tf.Tensor) -> tf.Tensor:
        """Returns √size_g · W / ‖W_g‖, and 0 where a group is 0."""
        return tf.cast(self._root_of_size(w) * self._direction(at_least_float32(w)), w.dtype)

    def proximal(self, w: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        """Returns the minimizer, group by group: 0 or W·r / (r + √size·threshold), as `group_norms` has it."""
        flat, axis = self._flat(at_least_float32(w))
        scaled = self._root_of_size(w) * tf.cast(threshold, flat.dtype)
        thresholds = self._flat(tf.broadcast_to(scaled, w.shape))[0]
        return tf.cast(self._shaped(flat * scale_of_prox(flat, thresholds, axis), w), w.dtype)

    def least_subgradient(self, w: tf.Tensor, gradient: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        """Returns gradient + strength·∇Ω where a group is not 0; of the others, the gradient of a group shortened by
        strength·√size, to no less than 0."""
        norm = self._norms(gradient)
        shortened = gradient * tf.math.divide_no_nan(tf.maximum(norm - strength * self._root_of_size(w), 0), norm)
        return tf.where(self._norms(w) == 0, shortened, gradient + strength * self.gradient(w))

    def _axes(self, w: tf.Tensor) -> list[int]:
        """The axes over which a group extends."""
        rank = len(w.shape)
        kept = {"outgoing": rank - 2, "incoming": rank - 1}[self.groups] if rank > 1 else None
        return [axis for axis in range(rank) if axis != kept]

    def _root_of_size(self, w: tf.Tensor) -> float:
        return math.sqrt(math.prod(w.shape[axis] for axis in self._axes(w)))

    def _norms(self, w: tf.Tensor) -> tf.Tensor:
        """‖W_g‖ with axes of length 1 over the groups."""
        return tf.sqrt(tf.reduce_sum(tf.square(w), self._axes(w), keepdims=True))

    def _direction(self, w: tf.Tensor) -> tf.Tensor:
        """W / ‖W_g‖, and 0 where a group is 0."""
        square = tf.reduce_sum(tf.square(w), self._axes(w), keepdims=True)
        is_zero = square == 0  # The root of 0 has no derivative, so it is not taken.
        return tf.where(is_zero, tf.zeros([], w.dtype), w / tf.sqrt(tf.where(is_zero, tf.ones([], w.dtype), square)))

    def _flat(self, w: tf.Tensor) -> tuple[tf.Tensor, int]:
        """W as a matrix, and the axis along which a group lies."""
        if self.groups == "incoming" and len(w.shape) > 1:
            return tf.reshape(w, [-1, w.shape[-1]]), 0
        if len(w.shape) > 2:
            w = tf.transpose(w, _with_inputs_first(len(w.shape)))
        groups = w.shape[0] if len(w.shape) > 1 else 1
        return tf.reshape(w, [groups, w.shape.num_elements() // max(groups, 1)]), 1

    def _shaped(self, flat: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        """Inverts `_flat`."""
        rank = len(like.shape)
        if self.groups == "incoming" or rank <= 2:
            return tf.reshape(flat, like.shape)
        order = _with_inputs_first(rank)
        places = [order.index(axis) for axis in range(rank)]
        return tf.transpose(tf.reshape(flat, [like.shape[axis] for axis in order]), places)


def _with_inputs_first(rank: int) -> list[int]:
    return [rank - 2, *range(rank - 2), rank - 1]
