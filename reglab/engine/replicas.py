"""Replicas: how one program runs on one device, on several, or on several machines. The engine is `tf.distribute`.

A program is written for one replica and calls `sum` where the whole global batch counts. On one device that is
nothing at all and XLA compiles the whole loop; under a strategy it is one all-reduce of all arrays together, with
XLA compiling what lies between, since it can hold no collective of several devices.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from reglab.core.parameters import map_arrays
from reglab.engine.kept_functions import kept


def traced(function: Callable[..., Any], jit: bool = False) -> Any:
    """`function` as a TensorFlow function with a count of tracings of its own.

    TensorFlow counts them by code, so a process that trains a few networks in turn would be warned of retracing; a
    partial has no code of its own.
    """
    return tf.function(functools.partial(function), jit_compile=jit, autograph=False)


class Replicas:
    """One device: everything is itself.

    Attributes:
      count: replicas in sync, over all workers.
      devices: their names, of all workers; empty for whatever TensorFlow takes first.
      workers: processes that train together.
      worker: this process's place among them; 0 is the chief.
      name: of the strategy, for people.
      compiles_whole: whether a program is compiled as one, and not piece by piece when these first run.
    """

    count: int = 1
    devices: tuple[str, ...] = ()
    workers: int = 1
    worker: int = 0
    name: str = "one_device"
    compiles_whole: bool = True

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the files and the progress."""
        return self.worker == 0

    def program(self, function: Callable[..., Any], jit: bool, *baked: Any) -> Any:
        """`function`, which loops and may call `run`, as a TensorFlow function.

        Args:
          baked: all that its graph depends on besides the types of its arguments; see `kept`.
        """
        return kept(traced(function, jit), function.__qualname__, jit, *baked)

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
        """Each array of a structure on the device of every replica, for arguments of `run`."""
        return arrays

    def gather_numbers(self, *numbers: float) -> np.ndarray:
        """[workers, numbers]: the numbers of every worker, for decisions that all must take alike."""
        return np.array([numbers], np.float64)

    def from_chief(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """The chief's arrays, in every worker: each brings arrays of the same shapes and dtypes."""
        return arrays


class StrategyReplicas(Replicas):
    """The replicas of a `tf.distribute` strategy."""

    compiles_whole: bool = False

    def __init__(self, strategy: tf.distribute.Strategy, name: str, devices: tuple[str, ...], *, workers: int = 1,
                 worker: int = 0) -> None:
        self.strategy, self.name, self.devices, self.workers, self.worker = strategy, name, devices, workers, worker
        self.count = strategy.num_replicas_in_sync
        self._copy = traced(self._copied)
        self._sum_of_workers = traced(self._sum_one_replica_a_worker)

    def program(self, function: Callable[..., Any], jit: bool, *baked: Any) -> Any:
        """`function` as a TensorFlow function; what lies between sums is compiled piece by piece."""
        del jit, baked  # Neither its pieces nor its collectives are kept.
        return traced(function)

    def piece(self, function: Callable[..., Any], jit: bool) -> Callable[..., Any]:
        """`function` as a TensorFlow function of its own, compiled by XLA if `jit`."""
        return traced(function, jit)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function(*arguments)` on every replica of the strategy."""
        return self.strategy.run(function, arguments)

    def sum(self, arrays: Any) -> Any:
        """The sum over replicas: one collective for each dtype, whatever the number of arrays."""
        flat = tf.nest.flatten(arrays)
        summed = list(flat)
        for dtype in dict.fromkeys(array.dtype for array in flat):  # In one order in all workers.
            places = [k for k, array in enumerate(flat) if array.dtype == dtype]
            joined = tf.concat([tf.reshape(flat[k], [-1]) for k in places], 0)
            total = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, joined)
            parts = tf.split(total, [flat[k].shape.num_elements() for k in places])
            for k, part in zip(places, parts, strict=True):
                summed[k] = tf.reshape(part, flat[k].shape)
        return tf.nest.pack_sequence_as(arrays, summed)

    def everywhere(self, arrays: Any) -> Any:
        """A copy of each array on every replica's device."""
        return self._copy(arrays) if tf.executing_eagerly() else self._copied(arrays)

    def index(self) -> Any:
        """This replica's place among all."""
        return tf.distribute.get_replica_context().replica_id_in_sync_group

    def first(self, results: Any) -> Any:
        """What this process's first replica returned."""
        return map_arrays(lambda result: self.strategy.experimental_local_results(result)[0], results)

    def gather_numbers(self, *numbers: float) -> np.ndarray:
        """[workers, numbers]: the numbers of every worker, by one sum."""
        if self.workers == 1:
            return super().gather_numbers(*numbers)
        table = np.zeros([self.workers, len(numbers)])
        table[self.worker] = numbers
        return self._sum_of_workers(tf.constant(table)).numpy()

    def from_chief(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """The chief's arrays: a sum to which only the chief brings anything, of bits, so that −0 stays −0."""
        if self.workers == 1:
            return arrays
        totals: dict[int, np.ndarray] = {}
        for itemsize in dict.fromkeys(array.dtype.itemsize for array in arrays):
            bits = np.concatenate([array.ravel().view(f"i{itemsize}") for array in arrays
                                   if array.dtype.itemsize == itemsize])
            brought = tf.constant(bits if self.is_chief else np.zeros_like(bits))
            totals[itemsize] = self._sum_of_workers(brought).numpy()
        taken = []
        for array in arrays:
            same, totals[array.dtype.itemsize] = np.split(totals[array.dtype.itemsize], [array.size])
            taken.append(same.view(array.dtype).reshape(array.shape))
        return taken

    def _copied(self, arrays: Any) -> Any:
        return self.run(lambda same: map_arrays(tf.identity, same), arrays)

    def _sum_one_replica_a_worker(self, table: tf.Tensor) -> tf.Tensor:
        """The sum over workers of their tables, brought by the first replica of each."""
        def bring(table: tf.Tensor) -> tf.Tensor:
            first_of_worker = tf.equal(self.index() % (self.count // self.workers), 0)
            return self.sum(tf.where(first_of_worker, table, tf.zeros_like(table)))

        return self.first(self.run(bring, table))
