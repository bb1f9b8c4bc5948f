"""The compiled functions of a shape: many steps a call, evaluation, and what is measured.

All that varies from run to run and from call to call (state, data, positions, counts, penalties, learning rates) is an
input, so each function is traced and compiled once, and any number of trainings of the same shapes share it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import tensorflow as tf

from reglab.core.measurement import Reporter
from reglab.core.parameters import Parameters, map_arrays
from reglab.core.step import Hyperparameters, Step, over_lanes
from reglab.engine.evaluation import Evaluation
from reglab.engine.loop import Loop
from reglab.engine.pieces import Pieces
from reglab.engine.replicas import Replicas, traced
from reglab.engine.sources.base import Layout


class Program:
    """Functions without state, strengths and data, to be called from any thread; `Training` calls them.

    Args:
      step: the functions of one lane.
      layout: how batches are made.
      summary_every: steps between measured steps; 0 measures none.
      lanes: how many lanes there are, or None for one without a lane axis.
      jit: compile with XLA.
      replicas: the devices.

    Attributes:
      run: (state's variables, resident, feed, first, count, hyper) to ([steps of an epoch] data losses, of which those
        of the steps first … first + count − 1 are set, and [measured steps] packed measurements). Takes the steps, in
        the variables. Lanes have an axis after the first.
      evaluate: (weights, resident, feed, first, count, examples of the split) to the sums of cross-entropy and of right
        predictions over so many batches of a split.
      data_gradient: (state, resident, feed, step of the epoch, hyper) to data loss and its gradient. Not fast.
      kernel_sums: parameters to `Step.measure_kernels` of them.
    """

    def __init__(self, step: Step, layout: Layout, *, summary_every: int, lanes: int | None = None, jit: bool = True,
                 replicas: Replicas | None = None) -> None:
        self.step, self.layout, self.lanes, self.summary_every = step, layout, lanes, summary_every
        self.replicas: Final = replicas or Replicas()
        self._pieces = Pieces(step, layout, lanes, self.replicas)
        self._loop = Loop(self._pieces, summary_every, jit)
        baked = step, layout, summary_every, lanes
        self.run = self.replicas.program(self._loop.run_steps, jit, *baked)
        # Not by XLA: large batches run as fast without, and there is nothing to wait for.
        self.evaluate = self.replicas.program(Evaluation(self._pieces).evaluate, False, *baked)
        self.data_gradient = traced(self._loop.data_gradient)
        self.kernel_sums = self.replicas.program(self._kernel_sums, False, *baked)

    def reports(self, packed: np.ndarray, start: int, count: int,
                hyper: Hyperparameters) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Which steps of a call of `run` count as measured, [reports], and tag to [reports] values.

        Args:
          packed: what `run` gave.
          start: the updates before the call.
          count: the steps of the call.
        """
        measured = self._loop.measured_steps(start, count)
        kept = [k for k, at in enumerate(measured) if at % self.summary_every == 0]
        steps = np.array([measured[k] for k in kept], np.int64)
        if not kept:
            return steps, {}
        return steps, self.reporter(hyper).of_step(self._pieces.packing.unpack(packed[kept]))

    def reporter(self, hyper: Hyperparameters) -> Reporter:
        """What makes reports of the sums of a training with these hyper-parameters."""
        return Reporter.of(self.step, {name: strength.numpy() for name, strength in hyper.strengths.items()})

    def _kernel_sums(self, parameters: Parameters) -> tuple[tf.Tensor, ...]:
        measure = over_lanes(self.step.measure_kernels, self.lanes)
        sums: tuple[tf.Tensor, ...] = measure(map_arrays(tf.identity, parameters))
        return sums
