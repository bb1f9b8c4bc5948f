"""What a source is: batches by their place in an epoch, half of it traced into the compiled loop, half on the host.

The traced half, `Layout`, knows sizes and no data, so programs are compiled from it and shared by all sources of an
equal one. The half on the host, `Source`, has the data. They live in the engine, not with the data sets, because a
layout is TensorFlow code, and `reglab.data` does without TensorFlow.
"""

from __future__ import annotations

import abc
import dataclasses
import sys
from typing import Any, NamedTuple

import tensorflow as tf

from reglab.core.step import Batch
from reglab.data import DataFacts, steps_per_epoch


class Part(NamedTuple):
    """A replica's places in one global batch.

    Attributes:
      places: [size] int32, where they are in the batch.
      positions: [size] int32, where their examples are in the split; for an empty place that of the last one.
      is_real: [size] bool, whether there is an example for a place.
      examples: scalar, those of the whole global batch.
    """

    places: tf.Tensor
    positions: tf.Tensor
    is_real: tf.Tensor
    examples: tf.Tensor


class Share(NamedTuple):
    """Which part of global batches is meant: one replica's, some consecutive places, of which the last may be empty.

    Attributes:
      replica: which replica, from 0.
      size: places of a replica.
      batch_size: examples of a full global batch.
      examples: of the split that the batches are of.
    """

    replica: Any
    size: int
    batch_size: int
    examples: Any

    def of(self, i: tf.Tensor) -> Part:
        """Its places in batch `i`."""
        places = self.replica * self.size + tf.range(self.size)
        positions = i * self.batch_size + places
        is_real = (places < self.batch_size) & (positions < self.examples)
        examples = tf.minimum(self.batch_size, self.examples - i * self.batch_size)
        return Part(places, tf.minimum(positions, self.examples - 1), is_real, examples)


@dataclasses.dataclass(frozen=True)
class Layout(abc.ABC):
    """How the batches of a source are made. Hashable: equal layouts share compiled programs.

    Attributes:
      train, validation: the examples of either split.
      batch_size: examples of a global batch in training; the last one of an epoch has what is left.
      input_shape, classes: see `DataFacts`.
      dtype: of the model's input.
    """

    train: int
    validation: int
    batch_size: int
    input_shape: tuple[int, ...]
    classes: int
    dtype: tf.DType

    @property
    def sizes(self) -> dict[str, int]:
        """The examples of "train" and of "validation"."""
        return {"train": self.train, "validation": self.validation}

    @property
    def steps_per_epoch(self) -> int:
        """The batches of an epoch."""
        return steps_per_epoch(self.train, self.batch_size)

    @property
    def most_batches(self) -> int:
        """How many batches one feed has at the most, so how many steps a call may take."""
        return sys.maxsize

    def evaluation_batch_size(self, replicas: int) -> int:
        """Examples of a full global batch in evaluation."""
        del replicas
        return self.batch_size

    @abc.abstractmethod
    def batch(self, resident: Any, feed: Any, i: tf.Tensor, share: Share) -> Batch:
        """A replica's share of batch `i` of an epoch, or of an evaluation. Traced: a function of its arguments alone.

        Args:
          resident, feed: what `Source.resident` and `Source.feed` gave.
        """

    def _batch_of(self, x: tf.Tensor, y: tf.Tensor, divisor: tf.Tensor, part: Part) -> Batch:
        """The part of which `x` [size, …] and `y` [size] are the examples, as the source has them.

        Args:
          divisor: a runtime value, not a constant: XLA would multiply by the rounded reciprocal instead.
        """
        x = tf.cast(x, self.dtype) / divisor
        if len(self.input_shape) > 1:
            x = tf.reshape(x, [-1, *self.input_shape])
        return Batch(x, y, tf.cast(part.is_real, self.dtype), tf.cast(part.examples, self.dtype), part.places)


class Source(abc.ABC):
    """Batches of a training and a validation split.

    Attributes:
      about: what is known of the data.
      layout: how their batches are made.
    """

    about: DataFacts
    layout: Layout

    @abc.abstractmethod
    def resident(self, device: str | None) -> Any:
        """A structure of tensors on a device, or on the one that TensorFlow takes, to be used by all batches."""

    @abc.abstractmethod
    def feed(self, split: str, epoch: int | None, first: int, count: int) -> Any:
        """What the host brings for `count` batches from the `first` on: arrays, of the same shapes whatever is asked.

        It depends on the arguments alone, so a run that is resumed needs the number of its step and nothing more.

        Args:
          epoch: that of training, from 0; None in evaluation, where each example is seen once, in any order.
        """
