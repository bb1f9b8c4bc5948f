"""An exponential average of the weights, to be evaluated in their place (Polyak and Juditsky 1992; in this form as for
the moments of Adam, Kingma and Ba 2015, section 3).

It is kept beside the optimizer's own arrays, so it has lanes and replicas and is part of checkpoints as these are. It
never enters the training itself.
"""

from __future__ import annotations

import math
from typing import Final

import tensorflow as tf

from reglab.core.parameters import Buffers, Parameters, Weights, map_arrays

PARAMETERS: Final = "average"
BUFFERS: Final = "average_buffers"
"""The names of the average among the slots."""


def first_average(weights: Weights) -> dict[str, Parameters]:
    """Returns the average before the first update: the weights, none of which is left in it after that update."""
    return {PARAMETERS: map_arrays(tf.identity, weights.parameters),
            **({BUFFERS: map_arrays(tf.identity, weights.buffers)} if weights.buffers else {})}


def next_average(slots: dict[str, Parameters], parameters: Parameters, buffers: Buffers, step: tf.Tensor,
                 decay: float) -> dict[str, Parameters]:
    """Returns the average after an update.

    After t updates, which gave the weights W_1 … W_t, it is their weighted mean, without any of the initial weights:

        A_t = Σ_i d^(t−i)·W_i / Σ_i d^(t−i),    so A_t = A_(t−1) + (W_t − A_(t−1))·(1 − d)/(1 − d^t)

    Buffers, such as the moving statistics of batch normalization, are averaged alike, so that they fit the weights.

    Args:
      slots: contains the average before it.
      parameters, buffers: the weights after the update.
      step: the number of updates before it, an int64 scalar.
      decay: d, between 0 and 1.
    """
    dtype = tf.nest.flatten(parameters)[0].dtype
    # 1 − d^t as a difference would lose most digits of a float32 while t is small.
    share = (1 - decay) / -tf.math.expm1(tf.cast(step + 1, dtype) * math.log(decay))

    def moved(average: tf.Tensor, array: tf.Tensor) -> tf.Tensor:
        return average + (array - average) * share

    return {PARAMETERS: map_arrays(moved, slots[PARAMETERS], parameters),
            **({BUFFERS: map_arrays(moved, slots[BUFFERS], buffers)} if buffers else {})}


def averaged(slots: dict[str, Parameters]) -> Weights | None:
    """Returns the average among the slots, or None if there is none."""
    return Weights(slots[PARAMETERS], slots.get(BUFFERS, {})) if PARAMETERS in slots else None
