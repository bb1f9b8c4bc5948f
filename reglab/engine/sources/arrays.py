"""A data set as a source: all examples on the device, gathered by an order that is a function of seed and epoch."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any, Final

import numpy as np
import tensorflow as tf

from reglab.core.parameters import map_arrays
from reglab.core.step import Batch
from reglab.data import Dataset, epoch_order
from reglab.engine.sources.base import Layout, Share, Source

EVALUATION_BATCH: Final = 1000


@dataclasses.dataclass(frozen=True)
class ArrayLayout(Layout):
    """Resident are both splits, one after the other, and their divisor; what is fed is an order of examples."""

    def evaluation_batch_size(self, replicas: int) -> int:
        """The same number for each replica, whatever the batch size of training."""
        return EVALUATION_BATCH * replicas

    def batch(self, resident: Any, feed: Any, i: tf.Tensor, share: Share) -> Batch:
        """A replica's share of the batch, gathered by the order that was fed."""
        x, y, divisor = resident
        part = share.of(i)
        ids = tf.gather(feed, part.positions)
        return self._batch_of(tf.gather(x, ids), tf.gather(y, ids), divisor, part)


class ArraySource(Source):
    """The batches of a data set.

    Args:
      batch_size: global batch, in examples.
      dtype: of the model's input.
      seed: of the order.
    """

    def __init__(self, dataset: Dataset, batch_size: int, dtype: tf.DType, seed: int = 0) -> None:
        self.about: Dataset = dataset
        self._seed = seed
        self.layout = ArrayLayout(train=len(dataset.train), validation=len(dataset.validation), batch_size=batch_size,
                                  input_shape=dataset.input_shape, classes=dataset.classes, dtype=dtype)
        self._resident: dict[str | None, Any] = {}
        self._order: tuple[int, np.ndarray] | None = None
        self._lock = threading.Lock()

    def resident(self, device: str | None) -> Any:
        """Both splits and their divisor: on each device once, whoever asks."""
        if device not in self._resident:
            train, validation = self.about.train, self.about.validation
            with tf.device(device):
                # Identity, as a constant is on the first CPU even where another logical one is asked for.
                self._resident[device] = map_arrays(tf.identity, (
                    tf.constant(np.concatenate([train.x, validation.x])),
                    tf.constant(np.concatenate([train.y, validation.y])),
                    tf.constant(self.about.divisor, self.layout.dtype)))
        return self._resident[device]

    def feed(self, split: str, epoch: int | None, first: int, count: int) -> np.ndarray:
        """The places of all examples of the split, in the order of the epoch, int32."""
        del first, count
        return self._natural_order(split) if epoch is None else self._order_of(epoch)

    def _order_of(self, epoch: int) -> np.ndarray:
        with self._lock:  # Groups of lanes ask for the same one at the same time.
            if self._order is None or self._order[0] != epoch:
                self._order = epoch, epoch_order(self._seed, epoch, self.layout.train)
            return self._order[1]

    def _natural_order(self, split: str) -> np.ndarray:
        """As long as the larger split, so that one compiled function serves both."""
        start = 0 if split == "train" else self.layout.train
        places = start + np.arange(max(self.layout.sizes.values()), dtype=np.int32)
        return np.minimum(places, sum(self.layout.sizes.values()) - 1)
