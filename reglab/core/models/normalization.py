"""Batch normalization over a whole global batch, however it is divided among replicas and padded."""

from __future__ import annotations

from typing import Final

from reglab.core.lazily import tf
from reglab.core.models.base import Mode
from reglab.core.parameters import Buffers, Parameters

MOMENTUM: Final = 0.9
"""The fraction of the moving averages kept at each step; Keras' 0.99 needs more steps than a small data set has."""
EPSILON: Final = 1e-3


def batch_norm(parameters: Parameters, buffers: Buffers, layer: str, x: tf.Tensor,
               mode: Mode) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns scale · (x − mean) / √(variance + ε) + offset (Ioffe and Szegedy 2015, algorithm 1), and new buffers.

    In training, mean and variance are taken per channel over all real examples of the global batch:

        n = Σ_i w_i · pixels,    mean = Σ w_i·x_i / n,    variance = Σ w_i·(x_i − mean)² / n

    and the moving averages move a tenth of the way towards them; in evaluation the moving averages are used instead.

    Args:
      layer: a layer with scale and offset in `parameters`, and mean and variance in `buffers`, each [channels].
      x: [examples, height, width, channels].
    """
    own, moving = parameters[layer], buffers[layer]
    if not mode.training:
        return _normalized(x - moving["mean"], moving["variance"], own), moving
    count = mode.total_weight * (x.shape[1] * x.shape[2])
    weights = mode.weights[:, None, None, None]
    mean = mode.total(tf.reduce_sum(weights * x, [0, 1, 2])) / count
    centered = x - mean
    variance = mode.total(tf.reduce_sum(weights * tf.square(centered), [0, 1, 2])) / count
    after = {name: moving[name] * MOMENTUM + tf.stop_gradient(moment) * (1 - MOMENTUM)
             for name, moment in (("mean", mean), ("variance", variance))}
    return _normalized(centered, variance, own), after


def _normalized(centered: tf.Tensor, variance: tf.Tensor, own: dict[str, tf.Tensor]) -> tf.Tensor:
    return centered * (own["scale"] * tf.math.rsqrt(variance + EPSILON)) + own["offset"]
