"""Replicas: how one program runs on one device, several devices, or several machines. Built on `tf.distribute`.

A program is written for one replica and calls `sum` wherever it needs the whole global batch. On one device `sum` does
nothing, and XLA compiles the whole loop; under a strategy it is one all-reduce of all arrays together, and XLA compiles
only the code in between, because it cannot contain a collective over several devices.
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
    """Returns `function` as a TensorFlow function with its own count of tracings.

    TensorFlow counts tracings per code object, so a process that trains several networks in turn would get warnings
    about retracing; a partial has no code object.
    """
    return tf.function(functools.partial(function), jit_compile=jit, autograph=False)


class Replicas:
    """A single device, for which most methods return their argument.

    Attributes:
      count: the number of replicas in sync, over all workers.
      devices: the names of the devices of all workers; empty for TensorFlow's default device.
      workers: the number of processes that train together.
      worker: the place of this process among them; 0 is the chief.
      name: the name of the strategy, for display.
      compiles_whole: whether a program is compiled as a whole, rather than piece by piece as the pieces first run.
    """

    count: int = 1
    devices: tuple[str, ...] = ()
    workers: int = 1
    worker: int = 0
    name: str = "one_device"
    compiles_whole: bool = True

    @property
    def is_chief(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.worker == 0

    def program(self, function: Callable[..., Any], jit: bool, *baked: Any) -> Any:
        """Returns `function`, which loops and may call `run`, as a TensorFlow function.

        Args:
          baked: everything that its graph depends on apart from the types of its arguments; see `kept`.
        """
        return kept(traced(function, jit), function.__qualname__, jit, *baked)

    def piece(self, function: Callable[..., Any], jit: bool) -> Callable[..., Any]:
        """Returns `function`, called inside `run` and without sums, compiled unless the program around it is."""
        del jit
        return function

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls `function(*arguments)` on every replica; results stay there and can be passed to the next `run`."""
        return function(*arguments)

    def sum(self, arrays: Any) -> Any:
        """Inside `run`: sums each array of a structure over all replicas; every replica gets the result."""
        return arrays

    def index(self) -> Any:
        """Inside `run`: the index of this replica, from 0 to `count` − 1."""
        return 0

    def first(self, results: Any) -> Any:
        """Outside `run`: the result of this process's first replica."""
        return results

    def everywhere(self, arrays: Any) -> Any:
        """Copies each array of a structure to the device of every replica, for use as an argument of `run`."""
        return arrays

    def gather_numbers(self, *numbers: float) -> np.ndarray:
        """Returns [workers, numbers] float64, the numbers of all workers, for decisions that all must make alike."""
        return np.array([numbers], np.float64)

    def from_chief(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Returns the chief's arrays in every worker; each worker passes arrays of the same shapes and dtypes."""
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
        """Returns `function` as a TensorFlow function; the code between sums is compiled piece by piece."""
        del jit, baked  # Functions with pieces and collectives are not kept on disk.
        return traced(function)

    def piece(self, function: Callable[..., Any], jit: bool) -> Callable[..., Any]:
        """Returns `function` as a TensorFlow function of its own, compiled by XLA if `jit`."""
        return traced(function, jit)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls `function(*arguments)` on every replica of the strategy."""
        return self.strategy.run(function, arguments)

    def sum(self, arrays: Any) -> Any:
        """Sums over replicas, with one collective per dtype, however many arrays there are."""
        flat = tf.nest.flatten(arrays)
        summed = list(flat)
        for dtype in dict.fromkeys(array.dtype for array in flat):  # In the same order on all workers.
            places = [k for k, array in enumerate(flat) if array.dtype == dtype]
            joined = tf.concat([tf.reshape(flat[k], [-1]) for k in places], 0)
            total = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, joined)
            parts = tf.split(total, [flat[k].shape.num_elements() for k in places])
            for k, part in zip(places, parts, strict=True):
                summed[k] = tf.reshape(part, flat[k].shape)
        return tf.nest.pack_sequence_as(arrays, summed)

    def everywhere(self, arrays: Any) -> Any:
        """Copies each array to every replica's device."""
        return self._copy(arrays) if tf.executing_eagerly() else self._copied(arrays)

    def index(self) -> Any:
        """The index of this replica among all."""
        return tf.distribute.get_replica_context().replica_id_in_sync_group

    def first(self, results: Any) -> Any:
        """The result of this process's first replica."""
        return map_arrays(lambda result: self.strategy.experimental_local_results(result)[0], results)

    def gather_numbers(self, *numbers: float) -> np.ndarray:
        """Returns [workers, numbers], the numbers of all workers, using one sum."""
        if self.workers == 1:
            return super().gather_numbers(*numbers)
        table = np.zeros([self.workers, len(numbers)])
        table[self.worker] = numbers
        return self._sum_of_workers(tf.constant(table)).numpy()

    def from_chief(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Returns the chief's arrays, using a sum to which the others add zeros; of the bits, so that −0 stays −0."""
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
        """Sums the workers' tables, each contributed by the worker's first replica."""
        def bring(table: tf.Tensor) -> tf.Tensor:
            first_of_worker = tf.equal(self.index() % (self.count // self.workers), 0)
            return self.sum(tf.where(first_of_worker, table, tf.zeros_like(table)))

        return self.first(self.run(bring, table))
