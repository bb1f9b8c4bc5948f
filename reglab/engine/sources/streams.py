"""A stream as a source: the host feeds the examples themselves, as many batches at a time as a feed can hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import tensorflow as tf

from reglab.core.step import Batch
from reglab.data import Examples, Stream, steps_per_epoch
from reglab.engine.sources.base import Layout, Share, Source

FEED_BYTES: Final = 16 * 2**20
"""The size of a feed, large enough to make a call worthwhile; a single batch may exceed it."""


@dataclasses.dataclass(frozen=True)
class StreamLayout(Layout):
    """Only the divisor is resident; a feed is x [batches, batch size, features], y [batches, batch size] int32, and the
    place of its first batch in the epoch.

    Attributes:
      feed_batches: the number of batches in a feed.
    """

    feed_batches: int

    @property
    def most_batches(self) -> int:
        """The number of batches that one feed can hold."""
        return self.feed_batches

    def batch(self, resident: Any, feed: Any, i: tf.Tensor, share: Share) -> Batch:
        """Cuts a replica's share of the batch out of the feed."""
        x, y, first = feed
        part = share.of(i)
        places = tf.minimum(part.places, self.batch_size - 1)
        x, y = (tf.gather(tf.gather(array, i - first), places) for array in (x, y))
        return self._batch_of(x, y, resident, part)


class StreamSource(Source):
    """The batches of a stream, which is read in order; to go back, it is read again from the start of the epoch.

    Args:
      stream: the data.
      batch_size: the number of examples in a global batch.
      dtype: the dtype of the model's input.
    """

    def __init__(self, stream: Stream, batch_size: int, dtype: tf.DType) -> None:
        self.about: Stream = stream
        batch_bytes = batch_size * (4 + math.prod(stream.input_shape) * np.dtype(stream.dtype).itemsize)
        longest = steps_per_epoch(max(stream.train_size, stream.validation_size), batch_size)
        self.layout: StreamLayout = StreamLayout(
            train=stream.train_size, validation=stream.validation_size, batch_size=batch_size,
            input_shape=stream.input_shape, classes=stream.classes, dtype=dtype,
            feed_batches=min(longest, max(1, FEED_BYTES // batch_bytes)))
        self._readers: dict[tuple[str, int | None], _Reader] = {}

    def resident(self, device: str | None) -> Any:
        """Returns the divisor, the only resident tensor."""
        with tf.device(device):
            return tf.constant(self.about.divisor, self.layout.dtype)

    def feed(self, split: str, epoch: int | None, first: int, count: int) -> Any:
        """Reads the batches from the stream. In evaluation, training examples come in the order of the first epoch."""
        layout = self.layout
        x = np.zeros([layout.feed_batches, layout.batch_size, math.prod(layout.input_shape)], self.about.dtype)
        y = np.zeros(x.shape[:2], np.int32)
        for k, batch in enumerate(self._read(split, epoch, first, count)):
            x[k, :len(batch)], y[k, :len(batch)] = batch.x, batch.y
        return x, y, np.int32(first)

    def _read(self, split: str, epoch: int | None, first: int, count: int) -> list[Examples]:
        if not count:
            return []
        reader = self._readers.pop((split, epoch), None)
        if reader is None or reader.at > first:
            reader = _Reader(self.about.batches(split, epoch or 0, self.layout.batch_size))
        self._readers = {place: kept for place, kept in self._readers.items() if (place[1] is None) != (epoch is None)}
        reader.take(first - reader.at)
        batches = reader.take(count)
        if first + count < steps_per_epoch(self.layout.sizes[split], self.layout.batch_size):
            self._readers[split, epoch] = reader
        else:
            reader.end()
        return batches


class _Reader:
    """One pass over the batches of a split.

    Attributes:
      at: the number of batches taken so far.
    """

    def __init__(self, batches: Iterator[Examples]) -> None:
        self._batches, self.at = batches, 0

    def take(self, count: int) -> list[Examples]:
        """Returns the next `count` batches."""
        self.at += count
        return [next(self._batches) for _ in range(count)]

    def end(self) -> None:
        """Reads on to the end, so that the stream can report any batches beyond its declared size."""
        for _ in self._batches:
            pass
