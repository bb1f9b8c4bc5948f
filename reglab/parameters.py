"""The structure every floor above works on: the arrays of a network by layer, and functions of all of them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Parameters = dict[str, dict[str, tf.Tensor]]
"""Layer name to {"kernel": [inputs, units], "bias": [units]}; over lanes, each array has a leading lane axis."""


def map_arrays(function: Any, *structures: Any) -> Any:
    """`function` applied to the arrays that stand at the same place in equal structures."""
    return tf.nest.map_structure(function, *structures)


def global_norm(parameters: Parameters) -> tf.Tensor:
    """√ Σ a² over every entry of every array: a scalar of the arrays' dtype."""
    return tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(array)) for array in tf.nest.flatten(parameters)]))
