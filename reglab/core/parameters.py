"""The data structure used throughout: the arrays of a network by layer, and functions that act on all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reglab.core.lazily import tf

Parameters = dict[str, dict[str, "tf.Tensor"]]
"""{layer name: {array name: array}}, such as {"kernel": [inputs, units], "bias": [units]}: the trained arrays. With
lanes, each array has a leading lane axis."""

Buffers = dict[str, dict[str, "tf.Tensor"]]
"""The same structure for arrays that training updates without descent, such as moving averages; often empty."""


class Weights(NamedTuple):
    """All the arrays of a network."""

    parameters: Parameters
    buffers: Buffers = {}  # noqa: RUF012 (nothing changes it)


def map_arrays(function: Any, *structures: Any) -> Any:
    """Applies `function` to the arrays at the same place in equal structures."""
    return tf.nest.map_structure(function, *structures)


def replaced(parameters: Parameters, arrays: Mapping[str, Mapping[str, Any]]) -> Parameters:
    """Returns the parameters with some arrays, given by layer and name, in place of those that were there."""
    return {layer: {**old, **arrays[layer]} if layer in arrays else old for layer, old in parameters.items()}


def global_norm(parameters: Parameters) -> tf.Tensor:
    """Computes √ Σ a² over every entry of every array: a scalar of the arrays' dtype."""
    return tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(array)) for array in tf.nest.flatten(parameters)]))
