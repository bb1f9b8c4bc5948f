"""Learning rates as pure functions of the number of updates made so far.

`plateau` is not among them: what it does depends on evaluations, so the loop around the compiled program lowers the
rate that the program gets (`run/plateau.py`), and the program keeps it as it is.
"""

from __future__ import annotations

import math
from typing import Final

import tensorflow as tf

_EXACT_STEPS: Final = 2**24
"""float32 represents every integer up to this one exactly."""


def scheduled(learning_rate: tf.Tensor, step: tf.Tensor, *, schedule: str, warmup_steps: int, total_steps: int,
              decay_factor: float = 1.0, decay_steps: int = 1) -> tf.Tensor:
    """Returns the learning rate of the update that follows `step` updates: a scalar like `learning_rate`.

    The rate rises linearly from 0 over `warmup_steps`. After that it depends on the schedule:

        cosine    learning_rate · (1 + cos(π·p))/2, p the part that is done of the steps after the warm-up: half a
                  cosine, down to 0 at `total_steps` (Loshchilov and Hutter 2017, eq. 5, one period)
        step      learning_rate · decay_factor^⌊step / decay_steps⌋
        others    learning_rate

    Args:
      step: int64 scalar.
    """
    longest = max(total_steps if schedule == "cosine" else 0, warmup_steps)
    # float32 cannot represent every step beyond this. Below it, float64 would change the last bits of existing runs.
    dtype = learning_rate.dtype if longest <= _EXACT_STEPS else tf.float64
    position, rate = tf.cast(step, dtype), tf.cast(learning_rate, dtype)
    full = rate
    if schedule == "cosine":
        progress = tf.clip_by_value((position - warmup_steps) / max(total_steps - warmup_steps, 1), 0, 1)
        rate = rate * (1 + tf.cos(math.pi * progress)) / 2
    elif schedule == "step":
        rate = full = rate * tf.pow(tf.constant(decay_factor, dtype), tf.cast(step // decay_steps, dtype))
    if warmup_steps:
        rate = tf.where(position < warmup_steps, full * position / warmup_steps, rate)
    return tf.cast(rate, learning_rate.dtype)
