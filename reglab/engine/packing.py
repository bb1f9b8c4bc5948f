"""A structure of small arrays as one flat array, for the way home from the compiled program, and back."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import tensorflow as tf


class Packing:
    """Both directions follow from one template.

    Args:
      template: a structure of `tf.TensorSpec`s.

    Attributes:
      size: numbers that the flat array has.
    """

    def __init__(self, template: Any) -> None:
        self._template = template
        self._shapes = [tuple(spec.shape) for spec in tf.nest.flatten(template)]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self.size = sum(self._sizes)

    def pack(self, arrays: Any) -> tf.Tensor:
        """[numbers]: all entries of a structure like the template, which have one dtype."""
        tf.nest.assert_same_structure(arrays, self._template)
        return tf.concat([tf.reshape(array, [-1]) for array in tf.nest.flatten(arrays)], 0)

    def unpack(self, numbers: np.ndarray) -> Any:
        """The structure in [..., numbers], whose arrays have the leading axes too."""
        parts = np.split(numbers, list(itertools.accumulate(self._sizes))[:-1], axis=-1)
        return tf.nest.pack_sequence_as(self._template, [
            part.reshape((*numbers.shape[:-1], *shape)) for part, shape in zip(parts, self._shapes, strict=True)])
