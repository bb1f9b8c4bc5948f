"""JAX: `lax.scan` over the steps with optax's Adam, data on the device, donated state. Lanes through `vmap`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax

from reglab.benchmark.peers.job import Job, Weights
from reglab.benchmark.peers.protocol import fastest, serve

State = tuple[Any, Any]

UNROLLS = (1, 4)  # 2 and 8 were never the best on two cores.


class Trainer:
    """JAX, with a whole stretch of steps in one compiled scan."""

    packages: tuple[str, ...] = ("jax", "jaxlib", "optax")
    epsilon_last = True

    def __init__(self, job: Job) -> None:
        self._data = jax.device_put((job.x, job.y))
        self._divisor, self._lanes = job.divisor, job.lanes
        self._hyper: Any = jax.device_put((job.l1, job.l2, job.learning_rate))
        weights: Any = jax.device_put(job.weights)
        if job.lanes == 1:
            # Without vmap, and with the strengths as constants, as a user with one configuration would write it.
            self._hyper = tuple(float(strength[0]) for strength in (job.l1, job.l2, job.learning_rate))
            weights = jax.tree.map(lambda array: array[0], weights)
        start = over_lanes(lambda weights, rate: optax.adam(rate, eps=1e-7).init(weights), self._lanes)
        self._state: State = weights, start(weights, self._hyper[2])
        before = time.perf_counter()
        unroll = self._fastest_unroll(job.order[:job.steps])
        # A scan is compiled for each number of steps. A user has only one, so the warm-up's does not count.
        self._runs = {job.warmup_steps: self._compile(unroll, job.order[:job.warmup_steps])}
        self.tuning_seconds = time.perf_counter() - before
        self._runs[job.steps] = self._compile(unroll, job.order[:job.steps])
        self.settings = (f"one jitted lax.scan a stretch (unroll={unroll}, the best of {UNROLLS}), uint8 data on the "
                         "device, donated state, data loss of each step returned")

    def prepare(self, order: npt.NDArray[np.int32]) -> Callable[[], None]:
        """Prepares the host's part of the coming steps, and returns the function that takes them."""
        batches = jax.device_put(order)

        def take_steps() -> None:
            self._state, losses = self._runs[len(order)](self._state, *self._data, batches)
            np.asarray(losses)
            jax.block_until_ready(self._state)

        return take_steps

    def weights(self) -> Weights:
        """Returns the current weights, [lanes, inputs, units] and [lanes, units] for each layer."""
        arrays = [(np.asarray(kernel), np.asarray(bias)) for kernel, bias in self._state[0]]
        return arrays if self._lanes > 1 else [(kernel[None], bias[None]) for kernel, bias in arrays]

    def _fastest_unroll(self, order: npt.NDArray[np.int32]) -> int:
        """Finds the fastest unrolling, trying each on copies of the state, which does not change."""
        def candidate(unroll: int) -> Callable[[], None]:
            run, batches = self._compile(unroll, order), jax.device_put(order)
            return lambda: jax.block_until_ready(run(jax.tree.map(jnp.copy, self._state), *self._data, batches))

        return int(fastest({str(unroll): candidate(unroll) for unroll in UNROLLS}))

    def _compile(self, unroll: int, order: npt.NDArray[np.int32]) -> Any:
        jitted = jax.jit(functools.partial(self._take_steps, unroll=unroll), donate_argnums=0)
        return jitted.lower(self._state, *self._data, order).compile()

    def _take_steps(self, state: State, x: jax.Array, y: jax.Array, order: jax.Array, *,
                    unroll: int) -> tuple[State, jax.Array]:
        def step(state: State, ids: jax.Array) -> tuple[State, jax.Array]:
            batch = x[ids].astype(jnp.float32) / self._divisor, y[ids]
            train = over_lanes(functools.partial(update, batch), self._lanes)
            weights, slots, loss = train(*state, self._hyper)
            return (weights, slots), loss

        final: tuple[State, jax.Array] = jax.lax.scan(step, state, order, unroll=unroll)
        return final


def over_lanes(function: Callable[..., Any], lanes: int) -> Callable[..., Any]:
    """Returns `function` mapped over the leading axis of its arguments, or unchanged for one lane."""
    return function if lanes == 1 else jax.vmap(function)


def update(batch: tuple[jax.Array, jax.Array], weights: Any, slots: Any, hyper: Any) -> tuple[Any, Any, jax.Array]:
    """Takes one step of one lane; returns new weights, new slots and the data loss before the step."""
    l1, l2, learning_rate = hyper

    def total(weights: Any) -> tuple[jax.Array, jax.Array]:
        data = optax.softmax_cross_entropy_with_integer_labels(logits(weights, batch[0]), batch[1]).mean()
        penalty = sum(l1 * jnp.abs(kernel).sum() + l2 * jnp.square(kernel).sum() for kernel, _ in weights)
        return data + penalty, data

    # The total's value is not returned, so XLA need not sum the penalties; neither do reglab's steps.
    gradients, data = jax.grad(total, has_aux=True)(weights)
    updates, slots = optax.adam(learning_rate, eps=1e-7).update(gradients, slots)
    return optax.apply_updates(weights, updates), slots, data


def logits(weights: Any, x: jax.Array) -> jax.Array:
    """Computes the logits of the ReLU MLP."""
    for kernel, bias in weights[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    kernel, bias = weights[-1]
    return x @ kernel + bias


if __name__ == "__main__":
    serve(Trainer)
