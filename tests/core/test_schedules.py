"""Schedules against the formula and against Keras."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.core.schedules import scheduled

RATES = list(range(0, 61))


def rates(schedule: str, warmup: int, total: int, dtype: Any = tf.float64) -> list[Any]:
    compiled = tf.function(lambda rate, step: scheduled(rate, step, schedule=schedule, warmup_steps=warmup,
                                                        total_steps=total))
    return [compiled(tf.constant(0.5, dtype), tf.constant(step, tf.int64)).numpy() for step in RATES]


@pytest.mark.parametrize("warmup", [1, 7, 49])
def test_cosine_with_warmup_is_that_of_keras(warmup: int, keras64: Any) -> None:
    theirs = keras64.optimizers.schedules.CosineDecay(tf.constant(0.0, tf.float64), decay_steps=50 - warmup,
                                                      warmup_target=0.5, warmup_steps=warmup)
    np.testing.assert_allclose(rates("cosine", warmup, 50), [theirs(step).numpy() for step in RATES], atol=1e-15)


def test_cosine_without_warmup_is_that_of_keras_and_stays_at_0_past_the_end(keras64: Any) -> None:
    theirs = keras64.optimizers.schedules.CosineDecay(tf.constant(0.5, tf.float64), decay_steps=50)
    ours = rates("cosine", 0, 50)
    np.testing.assert_allclose(ours, [theirs(step).numpy() for step in RATES], atol=1e-15)
    assert ours[0] == 0.5
    np.testing.assert_allclose(ours[25], 0.25, rtol=1e-12)
    np.testing.assert_allclose(ours[50:], 0, atol=1e-15)


def test_the_constant_schedule_is_constant_after_a_linear_warmup() -> None:
    assert rates("constant", 0, 50) == [0.5] * len(RATES)
    np.testing.assert_allclose(rates("constant", 10, 50), [0.5 * min(step / 10, 1) for step in RATES], rtol=1e-15)


@pytest.mark.parametrize(("schedule", "warmup", "total"), [("cosine", 80, 50), ("cosine", 50, 50), ("cosine", 0, 1)])
def test_a_warmup_as_long_as_the_run_or_longer_gives_finite_rates(schedule: str, warmup: int, total: int) -> None:
    found = rates(schedule, warmup, total)
    assert all(math.isfinite(rate) and 0 <= rate <= 0.5 for rate in found)
    np.testing.assert_allclose(found[:warmup], [0.5 * step / warmup for step in RATES][:warmup] if warmup else [])


def test_the_schedule_keeps_the_dtype_of_the_rate() -> None:
    assert {rate.dtype for rate in rates("cosine", 7, 50, tf.float32)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
@pytest.mark.parametrize(("schedule", "warmup", "total"), [
    ("cosine", 1000, 2**24 + 64), ("cosine", 2**24 + 9, 2**32), ("constant", 2**31 + 99, 2**33), ("cosine", 0, 2**40)])
def test_schedules_are_exact_beyond_the_whole_numbers_of_float32(schedule: str, warmup: int, total: int, dtype: Any,
                                                                 jit: bool) -> None:
    compiled = tf.function(lambda rate, step: scheduled(rate, step, schedule=schedule, warmup_steps=warmup,
                                                        total_steps=total), jit_compile=jit)
    rate = tf.constant(0.3, dtype)
    for step in [base + k for base in (2**24, 2**31, total - 70, total // 2) for k in (-1, 0, 1, 2, 3, 63)]:
        position, full = np.float64(step), np.float64(rate.numpy())
        progress = min(max((position - warmup) / (total - warmup), 0.0), 1.0)
        expected = full * position / warmup if step < warmup else (
            full * (1 + math.cos(math.pi * progress)) / 2 if schedule == "cosine" else full)
        found = compiled(rate, tf.constant(step, tf.int64)).numpy()
        # At the end 1 + cos is 1e-16 or less, and so lost in rounding.
        np.testing.assert_allclose(found, expected, rtol=np.finfo(dtype.as_numpy_dtype).eps, atol=0.3 * 2.3e-16)


def test_step_multiplies_the_rate_every_so_many_steps() -> None:
    compiled = tf.function(lambda rate, step: scheduled(rate, step, schedule="step", warmup_steps=4, total_steps=50,
                                                        decay_factor=0.25, decay_steps=7))
    found = [compiled(tf.constant(0.5, tf.float64), tf.constant(step, tf.int64)).numpy() for step in RATES]
    np.testing.assert_allclose(found, [0.5 * 0.25 ** (step // 7) * min(step / 4, 1) for step in RATES], rtol=1e-14)


@pytest.mark.parametrize("jit", [False, True])
def test_step_is_exact_at_its_edges_beyond_the_whole_numbers_of_float32(jit: bool) -> None:
    compiled = tf.function(lambda rate, step: scheduled(rate, step, schedule="step", warmup_steps=0, total_steps=1,
                                                        decay_factor=0.5, decay_steps=2**24 + 1), jit_compile=jit)
    edge = 3 * (2**24 + 1)
    found = [compiled(tf.constant(0.5), tf.constant(edge + k, tf.int64)).numpy() for k in (-1, 0, 1)]
    assert found == [0.5 / 4, 0.5 / 8, 0.5 / 8]
