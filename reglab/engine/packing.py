"""Packs a structure of small arrays into one flat array, to return it from the compiled program, and unpacks it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import tensorflow as tf


class Packing:
    """Packs and unpacks structures that are like one template.

    Args:
      template: a structure of `tf.TensorSpec`s.

    Attributes:
      size: the number of entries in the flat array.
    """

    def __init__(self, template: Any) -> None:
        self._template = template
        self._shapes = [tuple(spec.shape) for spec in tf.nest.flatten(template)]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self.size = sum(self._sizes)

    def pack(self, arrays: Any) -> tf.Tensor:
        """Returns [numbers], all entries of a structure like the template, whose arrays have one dtype."""
        tf.nest.assert_same_structure(arrays, self._template)
        return tf.concat([tf.reshape(array, [-1]) for array in tf.nest.flatten(arrays)], 0)

    def unpack(self, numbers: np.ndarray) -> Any:
        """Returns the structure packed in [..., numbers]; its arrays keep the leading axes."""
        parts = np.split(numbers, list(itertools.accumulate(self._sizes))[:-1], axis=-1)
        return tf.nest.pack_sequence_as(self._template, [
            part.reshape((*numbers.shape[:-1], *shape)) for part, shape in zip(parts, self._shapes, strict=True)])
