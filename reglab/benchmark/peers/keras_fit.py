"""Keras: `fit` with default settings, which compile the step with XLA. One lane."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt

from reglab.benchmark.peers.job import Job, Weights
from reglab.benchmark.peers.protocol import one_lane, serve


class Trainer:
    """A plain Keras `fit`, as in its tutorials."""

    packages: tuple[str, ...] = ("keras", "tensorflow")
    settings: str = "fit with its defaults (XLA step), float32 arrays in memory"
    tuning_seconds: float = 0.0
    epsilon_last = False

    def __init__(self, job: Job) -> None:
        self._x, self._y = job.x.astype(np.float32) / np.float32(job.divisor), job.y
        self._model = compiled_model(job)

    def prepare(self, order: npt.NDArray[np.int32]) -> Callable[[], None]:
        """Prepares the host's part of the coming steps, and returns the function that takes them."""
        return self._fit_arrays(self._model, order)

    def weights(self) -> Weights:
        """Returns the current weights, [lanes, inputs, units] and [lanes, units] for each layer."""
        return [(kernel[None], bias[None]) for kernel, bias in (layer.get_weights() for layer in self._model.layers)]

    def _fit_arrays(self, model: keras.Model, order: npt.NDArray[np.int32]) -> Callable[[], None]:
        # The examples are arranged in the job's order beforehand, so that `fit` does the least it can: slicing.
        x, y, size = self._x[order.reshape(-1)], self._y[order.reshape(-1)], order.shape[1]
        return lambda: model.fit(x, y, batch_size=size, shuffle=False, verbose=0)


def compiled_model(job: Job, **compile_options: object) -> keras.Model:
    """Returns the job's network with its initial weights and the penalties as regularizers, ready to fit."""
    weights = one_lane(job)
    penalty = keras.regularizers.L1L2(l1=float(job.l1[0]), l2=float(job.l2[0]))
    hidden = [keras.layers.Dense(width, activation="relu", kernel_regularizer=penalty) for width in job.hidden]
    model = keras.Sequential([keras.Input(job.x.shape[1:]), *hidden,
                              keras.layers.Dense(job.classes, kernel_regularizer=penalty)])
    for layer, (kernel, bias) in zip(model.layers, weights, strict=True):
        layer.set_weights([kernel, bias])
    model.compile(keras.optimizers.Adam(float(job.learning_rate[0])),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True), **compile_options)
    return model


if __name__ == "__main__":
    serve(Trainer)
