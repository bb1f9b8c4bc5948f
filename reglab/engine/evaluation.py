"""Evaluates whole splits, each example once."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from reglab.core.parameters import Weights, map_arrays
from reglab.core.step import Batch, over_lanes
from reglab.engine.pieces import Pieces
from reglab.engine.sources.base import Share


class Evaluation:
    """The loop over the batches of a split, for `Program.evaluate`."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces, self._replicas = pieces, pieces.replicas

    def evaluate(self, weights: Weights, resident: Any, feed: Any, first: tf.Tensor, count: tf.Tensor,
                 examples: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Sums what `Step.evaluated` lists over `count` batches of a split, starting at batch `first`.

        Returns:
          The sums, float64 scalars or [lanes].
        """
        replicas, lanes, layout = self._replicas, self._pieces.lanes, self._pieces.layout
        batch_size = layout.evaluation_batch_size(replicas.count)

        def of_batch(weights: Weights, batch: Batch) -> tuple[tf.Tensor, ...]:
            return self._pieces.step.evaluate(weights.parameters, batch, weights.buffers)

        def of_share(weights: Weights, resident: Any, feed: Any, first: tf.Tensor, count: tf.Tensor,
                     examples: tf.Tensor) -> tuple[tf.Tensor, ...]:
            share = Share(replicas.index(), -(-batch_size // replicas.count), batch_size, examples)
            sums = [tf.zeros([] if lanes is None else [lanes], tf.float64)] * len(self._pieces.step.evaluated)

            def add_batch(i: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
                more = over_lanes(of_batch, lanes)(weights, layout.batch(resident, feed, i, share))
                return i + 1, *(total + part for total, part in zip(sums, more, strict=True))

            end = first + count
            return replicas.sum(tf.while_loop(lambda i, *_: i < end, add_batch, (first, *sums))[1:])

        weights, feed = replicas.everywhere((map_arrays(tf.identity, weights), feed))
        return replicas.first(replicas.run(of_share, weights, resident, feed, first, count, examples))
