"""The compiled functions for given shapes: training many steps per call, evaluating, and measuring.

Everything that varies between runs and calls (state, data, positions, counts, strengths, learning rates) is an input,
so each function is traced and compiled once, and any number of trainings of the same shapes share it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import tensorflow as tf

from reglab.core.debiasing import strengths_of_reports
from reglab.core.measurement import Reporter
from reglab.core.parameters import Parameters, map_arrays
from reglab.core.step import Hyperparameters, Step, over_lanes
from reglab.engine.evaluation import Evaluation
from reglab.engine.loop import Loop
from reglab.engine.pieces import Pieces
from reglab.engine.replicas import Replicas, traced
from reglab.engine.sources.base import Layout


class Program:
    """Functions without state, strengths or data, which any thread may call; `Training` calls them.

    Args:
      step: the functions of one lane.
      layout: how batches are made.
      summary_every: the interval between measured steps; 0 measures none.
      lanes: the number of lanes, or None for one lane without a lane axis.
      jit: whether to compile with XLA.
      replicas: the devices.

    Attributes:
      run: takes `count` steps from step `first` of an epoch on, updating the variables of the state. Maps (state,
        resident, feed, first, count, hyper) to the data losses, [steps of an epoch], of which only the entries first …
        first + count − 1 are set, and the packed measurements, [measured steps, numbers]. Lanes are the second axis.
      evaluate: maps (weights, resident, feed, first, count, examples of the split) to the sums of `Step.evaluated` over
        `count` batches of the split.
      data_gradient: maps (state, resident, feed, step of the epoch, hyper) to the data loss and its gradient. Slow.
      kernel_sums: maps parameters to the result of `Step.measure_kernels`.
    """

    def __init__(self, step: Step, layout: Layout, *, summary_every: int, lanes: int | None = None, jit: bool = True,
                 replicas: Replicas | None = None) -> None:
        self.step, self.layout, self.lanes, self.summary_every = step, layout, lanes, summary_every
        self.replicas: Final = replicas or Replicas()
        self._pieces = Pieces(step, layout, lanes, self.replicas)
        self._loop = Loop(self._pieces, summary_every, jit)
        baked = step, layout, summary_every, lanes
        self.run = self.replicas.program(self._loop.run_steps, jit, *baked)
        # Not compiled by XLA: large batches run just as fast without, and there is no compilation to wait for.
        self.evaluate = self.replicas.program(Evaluation(self._pieces).evaluate, False, *baked)
        self.data_gradient = traced(self._loop.data_gradient)
        self.kernel_sums = self.replicas.program(self._kernel_sums, False, *baked)

    def reports(self, packed: np.ndarray, start: int, count: int,
                hyper: Hyperparameters) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Returns the steps of a call of `run` that count as measured, [reports] int64, and {tag: [reports] values}.

        Args:
          packed: the measurements that `run` returned.
          start: the number of updates before the call.
          count: the number of steps in the call.
        """
        measured = self._loop.measured_steps(start, count)
        kept = [k for k, at in enumerate(measured) if at % self.summary_every == 0]
        steps = np.array([measured[k] for k in kept], np.int64)
        if not kept:
            return steps, {}
        return steps, self.reporter(hyper, steps).of_step(self._pieces.packing.unpack(packed[kept]))

    def reporter(self, hyper: Hyperparameters, steps: np.ndarray) -> Reporter:
        """Returns the reporter for trainings with these hyper-parameters.

        Args:
          steps: the number of updates before each of those whose objective is reported, an array of any shape.
        """
        strengths = {name: strength.numpy() for name, strength in hyper.strengths.items()}
        if self.step.debias_from is not None:
            strengths = strengths_of_reports(strengths, self.step.terms, self.step.is_debiasing(steps))
        return Reporter.of(self.step, strengths)

    def _kernel_sums(self, parameters: Parameters) -> tuple[tf.Tensor, ...]:
        measure = over_lanes(self.step.measure_kernels, self.lanes)
        sums: tuple[tf.Tensor, ...] = measure(map_arrays(tf.identity, parameters))
        return sums
