"""The interface of a source: batches by their place in an epoch, made partly in the compiled loop, partly on the host.

The traced part, `Layout`, knows sizes but no data, so programs are compiled from it and shared by all sources with an
equal layout. The part on the host, `Source`, holds the data. Both live in the engine rather than beside the data sets
because a layout is TensorFlow code, which `reglab.data` does without.
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
      places: [size] int32, places within the batch.
      positions: [size] int32, the positions of their examples in the split; for an empty place, that of the last one.
      is_real: [size] bool, whether a place has an example.
      examples: scalar, the number of examples in the whole global batch.
    """

    places: tf.Tensor
    positions: tf.Tensor
    is_real: tf.Tensor
    examples: tf.Tensor


class Share(NamedTuple):
    """The part of every global batch that one replica takes: consecutive places, the last of which may be empty.

    Attributes:
      replica: the index of the replica, from 0.
      size: the number of places of a replica.
      batch_size: the number of examples in a full global batch.
      examples: the number of examples in the split.
    """

    replica: Any
    size: int
    batch_size: int
    examples: Any

    @property
    def whole(self) -> Share:
        """The share of a replica that takes all places of the batch."""
        return self._replace(replica=0, size=self.batch_size)

    def of(self, i: tf.Tensor) -> Part:
        """Returns the replica's places in batch `i`."""
        places = self.replica * self.size + tf.range(self.size)
        positions = i * self.batch_size + places
        is_real = (places < self.batch_size) & (positions < self.examples)
        examples = tf.minimum(self.batch_size, self.examples - i * self.batch_size)
        return Part(places, tf.minimum(positions, self.examples - 1), is_real, examples)


@dataclasses.dataclass(frozen=True)
class Layout(abc.ABC):
    """How the batches of a source are made. Hashable: equal layouts share compiled programs.

    Attributes:
      train, validation: the number of examples in each split.
      batch_size: the number of examples in a global batch of training; the last one of an epoch has what is left.
      input_shape, classes: see `DataFacts`.
      dtype: the dtype of the model's input.
    """

    train: int
    validation: int
    batch_size: int
    input_shape: tuple[int, ...]
    classes: int
    dtype: tf.DType

    @property
    def sizes(self) -> dict[str, int]:
        """The number of examples in "train" and in "validation"."""
        return {"train": self.train, "validation": self.validation}

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return steps_per_epoch(self.train, self.batch_size)

    @property
    def most_batches(self) -> int:
        """The largest number of batches in one feed, and hence of steps in one call."""
        return sys.maxsize

    def evaluation_batch_size(self, replicas: int) -> int:
        """The number of examples in a full global batch of evaluation."""
        del replicas
        return self.batch_size

    @abc.abstractmethod
    def batch(self, resident: Any, feed: Any, i: tf.Tensor, share: Share) -> Batch:
        """Returns a replica's share of batch `i` of an epoch or an evaluation. Traced, so a function of its arguments.

        Args:
          resident, feed: the results of `Source.resident` and `Source.feed`.
        """

    def _batch_of(self, x: tf.Tensor, y: tf.Tensor, divisor: tf.Tensor, part: Part,
                  mean: tf.Tensor | None = None) -> Batch:
        """Makes a batch of the examples `x` [size, …] and `y` [size] of a part, given as the source stores them.

        Args:
          divisor: a run-time value, because XLA would turn division by a constant into multiplication by its rounded
            reciprocal; a scalar, or [features].
          mean: [features], what is subtracted from x first, if anything.
        """
        x = scaled(tf.cast(x, self.dtype), mean, divisor)
        if len(self.input_shape) > 1:
            x = tf.reshape(x, [-1, *self.input_shape])
        return Batch(x, y, tf.cast(part.is_real, self.dtype), tf.cast(part.examples, self.dtype), part.places)


def scaled(x: tf.Tensor, mean: tf.Tensor | None, divisor: tf.Tensor) -> tf.Tensor:
    """Returns the model's input (x - mean) / divisor of [examples, features]; without a mean, x / divisor."""
    return x / divisor if mean is None else (x - mean) / divisor


class Source(abc.ABC):
    """The batches of a training and a validation split.

    Attributes:
      about: the sizes, shapes and other facts of the data.
      layout: how the batches are made.
    """

    about: DataFacts
    layout: Layout

    @abc.abstractmethod
    def resident(self, device: str | None) -> Any:
        """Returns the tensors that all batches use, on a device, or on TensorFlow's default device if None."""

    def loss_weight(self, split: str) -> float:
        """The sum of the weights that the examples of a split have in the data loss that is trained on."""
        return self.layout.sizes[split]

    @abc.abstractmethod
    def feed(self, split: str, epoch: int | None, first: int, count: int) -> Any:
        """Returns what the host supplies for `count` batches from batch `first` on: arrays whose shapes never change.

        The result depends on the arguments alone, so a resumed run needs the number of its step and nothing more.

        Args:
          split: "train" or "validation".
          epoch: the epoch of training, from 0; None in evaluation, where each example is seen once, in any order.
        """
