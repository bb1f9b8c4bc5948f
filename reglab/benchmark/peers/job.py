"""What every peer has to do, stored as one .npz file, and the objective by which its result is judged.

A job fixes everything that must not differ between peers: the examples, the initial weights, the examples of every
batch in order, the strengths of the penalties and the learning rates. NumPy only.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt

from reglab.data import Dataset, epoch_order

Floats = npt.NDArray[np.floating[Any]]
Weights = list[tuple[Floats, Floats]]
"""Kernel and bias of each layer, starting at the input side: [lanes, inputs, units] and [lanes, units]."""


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A training run: a ReLU MLP, Adam with Keras' defaults (ε = 1e-7), L1 and L2 on every kernel.

    Attributes:
      x: [examples, features] uint8; the model's input is x / divisor in float32.
      y: [examples] int32 labels.
      divisor: the number by which pixels are divided.
      weights: the initial weights, float32.
      order: [warmup_steps + repeats · steps, batch] int32: the examples of every batch.
      warmup_steps: the number of steps before the first timed one.
      steps: the number of steps in one timed repeat.
      l1, l2, learning_rate: [lanes] float32.
      evaluated: the number of examples, taken from the start, over which the final objective is computed.
    """

    x: npt.NDArray[np.uint8]
    y: npt.NDArray[np.int32]
    divisor: float
    weights: Weights
    order: npt.NDArray[np.int32]
    warmup_steps: int
    steps: int
    l1: npt.NDArray[np.float32]
    l2: npt.NDArray[np.float32]
    learning_rate: npt.NDArray[np.float32]
    evaluated: int

    @property
    def lanes(self) -> int:
        """The number of configurations that train side by side."""
        return len(self.learning_rate)

    @property
    def batch_size(self) -> int:
        """The number of examples per step."""
        return int(self.order.shape[1])

    @property
    def hidden(self) -> tuple[int, ...]:
        """The widths of the hidden layers."""
        return tuple(bias.shape[-1] for _, bias in self.weights[:-1])

    @property
    def classes(self) -> int:
        """The number of logits."""
        return int(self.weights[-1][1].shape[-1])

    def save(self, path: str | pathlib.Path) -> None:
        """Writes the job to a file for `load`."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["weights"]
        for k, (kernel, bias) in enumerate(self.weights):
            fields |= {f"kernel_{k}": kernel, f"bias_{k}": bias}
        np.savez(path, **fields)

    @staticmethod
    def load(path: str | pathlib.Path) -> Job:
        """Reads a job that `save` wrote."""
        with np.load(path) as arrays:
            layers = sum(name.startswith("kernel_") for name in arrays.files)
            weights = [(arrays[f"kernel_{k}"], arrays[f"bias_{k}"]) for k in range(layers)]
            fields = {name: arrays[name] for name in arrays.files if not name.startswith(("kernel_", "bias_"))}
        plain = {name: array.item() if array.ndim == 0 else array for name, array in fields.items()}
        return Job(**plain, weights=weights)


def make_job(dataset: Dataset, *, hidden: tuple[int, ...], batch_size: int, steps: int, repeats: int,
             l1: list[float], l2: list[float], learning_rate: list[float], warmup_steps: int = 3,
             evaluated: int = 2000, seed: int = 0) -> Job:
    """Makes a job on the training examples of `dataset`, with one lane for each entry of the three lists.

    Args:
      warmup_steps: these steps are also compared with exact ones, which float32 follows only for a few steps.

    Raises:
      ValueError: the examples are not uint8, or there are fewer than one batch.
    """
    if dataset.train.x.dtype != np.uint8 or len(dataset.train) < batch_size:
        raise ValueError(f"{dataset.name}: a job needs uint8 examples, and at least one batch ({batch_size}) of them")
    total = warmup_steps + repeats * steps
    per_epoch = len(dataset.train) // batch_size
    # Only whole batches, since libraries differ in how they handle a ragged one.
    epochs = [epoch_order(seed, epoch, len(dataset.train))[:per_epoch * batch_size]
              for epoch in range(-(-total // per_epoch))]
    order = np.concatenate(epochs).reshape(-1, batch_size)[:total]
    widths = (dataset.train.x.shape[1], *hidden, dataset.classes)
    return Job(dataset.train.x, dataset.train.y, dataset.divisor, _initial_weights(widths, len(learning_rate), seed),
               order, warmup_steps, steps, np.array(l1, np.float32), np.array(l2, np.float32),
               np.array(learning_rate, np.float32), min(evaluated, len(dataset.train)))


def objective(job: Job, weights: Weights) -> tuple[list[float], list[float]]:
    """Computes total and data loss of each lane over the first `job.evaluated` examples, in float64."""
    x = job.x[:job.evaluated].astype(np.float64) / job.divisor
    y = job.y[:job.evaluated]
    data_losses = [_cross_entropy(x, y, [(kernel[lane], bias[lane]) for kernel, bias in weights])
                   for lane in range(job.lanes)]
    kernels = [np.asarray(kernel, np.float64) for kernel, _ in weights]
    l1 = sum(np.abs(kernel).sum(axis=(1, 2)) for kernel in kernels)
    l2 = sum(np.square(kernel).sum(axis=(1, 2)) for kernel in kernels)
    total = np.array(data_losses) + job.l1 * l1 + job.l2 * l2
    return total.tolist(), data_losses


def _initial_weights(widths: tuple[int, ...], lanes: int, seed: int) -> Weights:
    """Returns Glorot-uniform kernels, different in each lane, and zero biases."""
    random = np.random.default_rng(seed)
    weights: Weights = []
    for inputs, units in zip(widths, widths[1:], strict=False):
        limit = np.sqrt(6 / (inputs + units))
        kernel = random.uniform(-limit, limit, (lanes, inputs, units))
        weights.append((kernel.astype(np.float32), np.zeros((lanes, units), np.float32)))
    return weights


def _cross_entropy(x: npt.NDArray[np.float64], y: npt.NDArray[np.int32], layers: Weights) -> float:
    for k, (kernel, bias) in enumerate(layers):
        x = x @ kernel.astype(np.float64) + bias
        x = np.maximum(x, 0) if k < len(layers) - 1 else x
    shifted = x - x.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]))
