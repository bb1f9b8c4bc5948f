"""Replicas: how one program runs on one device, on several, or on several machines. The engine is `tf.distribute`.

A program is written for one replica and calls `sum` where the whole global batch counts. On one device that is
nothing at all and XLA compiles the whole loop; under a strategy it is one all-reduce of all arrays together, with
XLA compiling what lies between, since it can hold no collective of several devices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from reglab.parameters import map_arrays


class Replicas:
    """One device: everything is itself.

    Attributes:
      count: replicas in sync, over all workers.
      workers: processes that train together.
      worker: this process's place among them; 0 is the chief.
      name: of the strategy, for people.
    """

    count: int = 1
    workers: int = 1
    worker: int = 0
    name: str = "one_device"

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the files and the progress."""
        return self.worker == 0

    def program(self, function: Callable[..., Any], jit: bool) -> Any:
        """`function`, which loops and may call `run`, as a TensorFlow function."""
        return tf.function(function, jit_compile=jit, autograph=False)

    def piece(self, function: Callable[..., Any], jit: bool) -> Callable[..., Any]:
        """`function`, which is called inside `run` and sums nothing, compiled if the program around it is not."""
        del jit
        return function

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function(*arguments)` on every replica; its results stay where they are, as arguments of the next `run`."""
        return function(*arguments)

    def sum(self, arrays: Any) -> Any:
        """Inside `run`: the sum over all replicas of each array of a structure, on every replica."""
        return arrays

    def index(self) -> Any:
        """Inside `run`: which replica this is, from 0 to `count` − 1."""
        return 0

    def first(self, results: Any) -> Any:
        """Outside `run`: what this process's first replica returned."""
        return results

    def everywhere(self, arrays: Any) -> Any:
        """A copy of each array of a structure on the device of every replica, for arguments of `run`."""
        return self.run(lambda same: map_arrays(tf.identity, same), arrays)

    def gather_numbers(self, *numbers: float) -> np.ndarray:
        """[workers, numbers]: the numbers of every worker, for decisions that all must take alike."""
        return np.array([numbers], np.float64)


class StrategyReplicas(Replicas):
    """The replicas of a `tf.distribute` strategy."""

    def __init__(self, strategy: tf.distribute.Strategy, name: str) -> None:
        self.strategy, self.name = strategy, name
        resolver = strategy.cluster_resolver
        if resolver is not None and resolver.cluster_spec():
            self.workers = len(resolver.cluster_spec().as_dict()["worker"])
            self.worker = resolver.task_id
        self.count = strategy.num_replicas_in_sync
        self._gather_numbers = tf.function(self._sum_of_table, autograph=False)

    def program(self, function: Callable[..., Any], jit: bool) -> Any:
        """See `Replicas`."""
        del jit
        return tf.function(function, autograph=False)

    def piece(self, function: Callable[..., Any], jit: bool) -> Callable[..., Any]:
        """See `Replicas`."""
        return tf.function(function, jit_compile=jit, autograph=False)  # type: ignore[no-any-return]

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """See `Replicas`."""
        return self.strategy.run(function, arguments)

    def sum(self, arrays: Any) -> Any:
        """See `Replicas`: one collective for each dtype, whatever the number of arrays."""
        flat = tf.nest.flatten(arrays)
        summed = list(flat)
        for dtype in {array.dtype for array in flat}:
            places = [k for k, array in enumerate(flat) if array.dtype == dtype]
            joined = tf.concat([tf.reshape(flat[k], [-1]) for k in places], 0)
            total = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, joined)
            parts = tf.split(total, [flat[k].shape.num_elements() for k in places])
            for k, part in zip(places, parts, strict=True):
                summed[k] = tf.reshape(part, flat[k].shape)
        return tf.nest.pack_sequence_as(arrays, summed)

    def index(self) -> Any:
        """See `Replicas`."""
        return tf.distribute.get_replica_context().replica_id_in_sync_group

    def first(self, results: Any) -> Any:
        """See `Replicas`."""
        return map_arrays(lambda result: self.strategy.experimental_local_results(result)[0], results)

    def gather_numbers(self, *numbers: float) -> np.ndarray:
        """See `Replicas`."""
        if self.workers == 1:
            return super().gather_numbers(*numbers)
        table = np.zeros([self.workers, len(numbers)])
        table[self.worker] = numbers
        return self._gather_numbers(tf.constant(table)).numpy() / (self.count // self.workers)

    def _sum_of_table(self, table: tf.Tensor) -> tf.Tensor:
        return self.first(self.run(self.sum, table))
