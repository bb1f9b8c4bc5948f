"""The batches of a data set: each example once per epoch for any batch size and replicas; empty places do no harm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.core.step import Batch
from reglab.data import Dataset, epoch_order
from reglab.engine.sources.arrays import ArraySource
from reglab.engine.sources.base import Share


def batches(source: ArraySource, feed: Any, split: str, batch_size: int, replicas: int) -> list[list[Batch]]:
    """Returns, for each batch, the share of each replica as arrays."""
    examples, size = source.layout.sizes[split], -(-batch_size // replicas)
    shares = [Share(replica, size, batch_size, examples) for replica in range(replicas)]
    return [[tf.nest.map_structure(lambda array: array.numpy(), source.layout.batch(
        source.resident(None), feed, tf.constant(i), share)) for share in shares]
        for i in range(-(-examples // batch_size))]


def real(of_replicas: list[Batch]) -> np.ndarray:
    return np.concatenate([batch.x[batch.weights == 1] for batch in of_replicas])


@pytest.mark.parametrize(("batch_size", "replicas"), [(8, 1), (8, 3), (2, 3), (53, 2), (1, 1), (60, 7)])
def test_an_epoch_has_every_example_once_in_its_order(dataset: Dataset, batch_size: int, replicas: int) -> None:
    source = ArraySource(dataset, batch_size, tf.float64, seed=3)
    found = batches(source, source.feed("train", 4, 0, 1), "train", batch_size, replicas)
    assert len(found) == source.layout.steps_per_epoch
    order = epoch_order(3, 4, 53)
    np.testing.assert_array_equal(np.concatenate([real(of_replicas) for of_replicas in found]),
                                  dataset.train.x[order].astype(np.float64))
    for i, of_replicas in enumerate(found):
        assert {float(batch.total_weight) for batch in of_replicas} == {min(batch_size, 53 - i * batch_size)}
        assert sum(batch.weights.sum() for batch in of_replicas) == of_replicas[0].total_weight
        places = np.concatenate([batch.places for batch in of_replicas])
        np.testing.assert_array_equal(places, np.arange(len(places)))


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_an_evaluation_has_every_example_once(dataset: Dataset, split: str, replicas: int) -> None:
    source = ArraySource(dataset, 8, tf.float64)
    feed = source.feed(split, None, 0, 1)
    assert feed.shape == (53,), "the same for both splits, so one compiled function serves them"
    found = batches(source, feed, split, 7 * replicas, replicas)
    np.testing.assert_array_equal(np.concatenate([real(of_replicas) for of_replicas in found]),
                                  getattr(dataset, split).x.astype(np.float64))
    assert source.layout.evaluation_batch_size(replicas) == 1000 * replicas


def test_an_empty_place_repeats_an_example_of_its_own_batch(dataset: Dataset) -> None:
    """Otherwise an example that is not finite would make other batches NaN as well, since 0 · NaN is NaN."""
    source = ArraySource(dataset, 8, tf.float64)
    last = batches(source, source.feed("train", 0, 0, 1), "train", 8, 1)[-1][0]
    assert last.weights.tolist() == [1] * 5 + [0] * 3
    np.testing.assert_array_equal(last.x[5:], np.broadcast_to(last.x[4], (3, 6)))


def test_what_is_resident_is_there_once(dataset: Dataset) -> None:
    source = ArraySource(dataset, 8, tf.float32)
    assert source.resident(None) is source.resident(None)
    assert source.feed("train", 2, 0, 1) is source.feed("train", 2, 5, 1)
