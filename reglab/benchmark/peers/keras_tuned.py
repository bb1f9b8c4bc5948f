"""Keras: `fit` with `jit_compile=True` and the fastest `steps_per_execution` and input on this machine. One lane."""

from __future__ import annotations

import time
from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from reglab.benchmark.peers import keras_fit
from reglab.benchmark.peers.job import Job
from reglab.benchmark.peers.protocol import fastest, serve

CANDIDATES = {f"{source}, steps_per_execution={steps}": (source, steps)
              for source, steps in (("arrays", 64), ("tf.data", 16), ("tf.data", 64), ("tf.data", 256))}


class Trainer(keras_fit.Trainer):
    """A Keras `fit` with the settings that its documentation recommends for speed, the best of `CANDIDATES`."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        before = time.perf_counter()
        trials = {name: keras_fit.compiled_model(job, jit_compile=True, steps_per_execution=steps)
                  for name, (_, steps) in CANDIDATES.items()}
        best = fastest({name: self._fit(trials[name], source, job.order[:job.steps])
                        for name, (source, _) in CANDIDATES.items()})
        self.tuning_seconds = time.perf_counter() - before
        self._source, steps_per_execution = CANDIDATES[best]
        self._model = keras_fit.compiled_model(job, jit_compile=True, steps_per_execution=steps_per_execution)
        self.settings = f"fit with jit_compile=True, the best of {len(CANDIDATES)} inputs: {best}"

    def prepare(self, order: npt.NDArray[np.int32]) -> Callable[[], None]:
        """Prepares the host's part of the coming steps, and returns the function that takes them."""
        return self._fit(self._model, self._source, order)

    def _fit(self, model: keras.Model, source: str, order: npt.NDArray[np.int32]) -> Callable[[], None]:
        if source == "arrays":
            return self._fit_arrays(model, order)
        x, y = tf.constant(self._x), tf.constant(self._y)
        batches = tf.data.Dataset.from_tensor_slices(order)
        batches = batches.map(lambda ids: (tf.gather(x, ids), tf.gather(y, ids))).prefetch(tf.data.AUTOTUNE)
        return lambda: model.fit(batches, verbose=0)


if __name__ == "__main__":
    serve(Trainer)
