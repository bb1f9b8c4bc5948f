"""The job's first steps in plain NumPy and float64: what every peer must have computed at the end of its warm-up.

A final loss alone would not show whether a peer did less: runs that differ only in rounding end up 1e-2 apart, because
L1 changes the sign of its push wherever a weight crosses zero, and leaving out L2 or taking other batches changes the
loss no more than that. The weights after the first steps do show it: on MNIST, after 3 steps, rounding moves them by
1e-5, leaving out L2 by 2e-2, other batches by 0.5. After 10 steps some weights may have crossed zero, and rounding
has moved them by 2e-3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reglab.benchmark.peers.job import Floats, Job, Weights

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7


def deviation(job: Job, weights: Weights, *, epsilon_last: bool) -> list[float]:
    """Computes ‖W − W*‖ / ‖W* − W₀‖ for each lane, where W* is the result of exact warm-up steps from the start W₀.

    Args:
      epsilon_last: whether Adam adds ε to the bias-corrected √v, as PyTorch and optax do, or before that, as in Keras.
    """
    result = []
    for lane in range(job.lanes):
        start, found = _flat(job.weights, lane), _flat(weights, lane)
        exact = [array.copy() for array in start]
        _train(job, lane, exact, epsilon_last=epsilon_last)
        result.append(_distance(found, exact) / _distance(exact, start))
    return result


def _train(job: Job, lane: int, arrays: list[Floats], *, epsilon_last: bool) -> None:
    """Runs Adam on the objective, in place. `arrays` are kernel, bias, kernel, bias, …"""
    m, v = [np.zeros_like(w) for w in arrays], [np.zeros_like(w) for w in arrays]
    l1, l2, learning_rate = (float(strength[lane]) for strength in (job.l1, job.l2, job.learning_rate))
    for t, ids in enumerate(job.order[:job.warmup_steps], start=1):
        gradients = _data_gradients(job.x[ids] / job.divisor, job.y[ids], arrays)
        correction = np.sqrt(1 - BETA2**t)
        epsilon = EPSILON * correction if epsilon_last else EPSILON
        rate = learning_rate * correction / (1 - BETA1**t)
        for k, (w, g) in enumerate(zip(arrays, gradients, strict=True)):
            if k % 2 == 0:
                g = g + l1 * np.sign(w) + 2 * l2 * w
            m[k] += (g - m[k]) * (1 - BETA1)
            v[k] += (g * g - v[k]) * (1 - BETA2)
            w -= rate * m[k] / (np.sqrt(v[k]) + epsilon)


def _data_gradients(x: Floats, y: npt.NDArray[np.int32], arrays: list[Floats]) -> list[Floats]:
    inputs = [x]
    for kernel, bias in zip(arrays[:-2:2], arrays[1:-2:2], strict=True):
        inputs.append(np.maximum(inputs[-1] @ kernel + bias, 0))
    logits = inputs[-1] @ arrays[-2] + arrays[-1]
    delta = np.exp(logits - logits.max(axis=1, keepdims=True))
    delta /= delta.sum(axis=1, keepdims=True)
    delta[np.arange(len(y)), y] -= 1
    delta /= len(y)
    gradients: list[Floats] = []
    for k in reversed(range(len(inputs))):
        gradients = [inputs[k].T @ delta, delta.sum(axis=0), *gradients]
        delta = (delta @ arrays[2 * k].T) * (inputs[k] > 0)
    return gradients


def _flat(weights: Weights, lane: int) -> list[Floats]:
    return [array[lane].astype(np.float64) for layer in weights for array in layer]


def _distance(a: list[Floats], b: list[Floats]) -> float:
    return float(np.sqrt(sum(np.sum(np.square(p - q)) for p, q in zip(a, b, strict=True))))
