"""A data set as a source: all examples are on the device, gathered in an order that depends on seed and epoch only."""

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
    """Resident are both splits, concatenated, their divisor, and what is listed below; the feed is an order of
    examples, [examples] int32.

    Attributes:
      standardized: whether x is standardized; then the "mean" is resident, and the divisor is [features].
      weighted: whether examples count differently in training; then their "loss_weights" are resident.
    """

    standardized: bool = False
    weighted: bool = False

    def evaluation_batch_size(self, replicas: int) -> int:
        """The same number of examples for each replica, whatever the batch size in training."""
        return EVALUATION_BATCH * replicas

    def batch(self, resident: Any, feed: Any, i: tf.Tensor, share: Share) -> Batch:
        """Gathers a replica's share of the batch in the order given by the feed."""
        x, y, divisor, more = resident
        part = share.of(i)
        ids = tf.gather(feed, part.positions)
        batch = self._batch_of(tf.gather(x, ids), tf.gather(y, ids), divisor, part, more.get("mean"))
        if not self.weighted:
            return batch
        whole = share.whole.of(i)  # Every device has all weights, so the sum over the global batch needs no all-reduce.
        weights = [tf.where(one.is_real, tf.gather(more["loss_weights"], at), 0) for one, at in (
            (part, ids), (whole, tf.gather(feed, whole.positions)))]
        return batch._replace(loss_weights=weights[0], total_loss_weight=tf.reduce_sum(weights[1]))


class ArraySource(Source):
    """The batches of a data set.

    Args:
      dataset: the examples.
      batch_size: the number of examples in a global batch.
      dtype: the dtype of the model's input.
      seed: the seed of the order.
    """

    def __init__(self, dataset: Dataset, batch_size: int, dtype: tf.DType, seed: int = 0) -> None:
        self.about: Dataset = dataset
        self._seed = seed
        self.layout = ArrayLayout(train=len(dataset.train), validation=len(dataset.validation), batch_size=batch_size,
                                  input_shape=dataset.input_shape, classes=dataset.classes, dtype=dtype,
                                  standardized=dataset.standardization is not None,
                                  weighted=dataset.is_weighted)
        self._resident: dict[str | None, Any] = {}
        self._order: tuple[int, np.ndarray] | None = None
        self._lock = threading.Lock()

    def resident(self, device: str | None) -> Any:
        """Returns both splits and what goes with them; they are placed on each device once and then reused."""
        if device not in self._resident:
            train, validation, standardization = self.about.train, self.about.validation, self.about.standardization
            of_features = {} if standardization is None else {"mean": standardization.mean}
            of_examples = {} if not self.about.is_weighted else {
                "loss_weights": np.concatenate([self.about.loss_weights(name) for name in ("train", "validation")])}
            divisor = self.about.divisor if standardization is None else standardization.divisor
            with tf.device(device):
                # identity copies, as tf.constant uses the first CPU even if another logical one is asked for.
                self._resident[device] = map_arrays(tf.identity, (
                    tf.constant(np.concatenate([train.x, validation.x])),
                    tf.constant(np.concatenate([train.y, validation.y])),
                    tf.constant(divisor, self.layout.dtype),
                    {name: tf.constant(array, self.layout.dtype)
                     for name, array in {**of_features, **of_examples}.items()}))
        return self._resident[device]

    def loss_weight(self, split: str) -> float:
        """The sum of the weights of the examples."""
        return float(self.about.loss_weights(split).sum())

    def feed(self, split: str, epoch: int | None, first: int, count: int) -> np.ndarray:
        """Returns the int32 positions of all examples of the split, in the order of the epoch."""
        del first, count
        return self._natural_order(split) if epoch is None else self._order_of(epoch)

    def _order_of(self, epoch: int) -> np.ndarray:
        with self._lock:  # Groups of lanes ask for the same order at the same time.
            if self._order is None or self._order[0] != epoch:
                self._order = epoch, epoch_order(self._seed, epoch, self.layout.train)
            return self._order[1]

    def _natural_order(self, split: str) -> np.ndarray:
        """The positions in stored order, as many as the larger split has, so that one compiled function serves both."""
        start = 0 if split == "train" else self.layout.train
        places = start + np.arange(max(self.layout.sizes.values()), dtype=np.int32)
        return np.minimum(places, sum(self.layout.sizes.values()) - 1)
