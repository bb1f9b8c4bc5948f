"""Chooses how many lanes train together: as many as fit in memory, but no more than make a step faster."""

from __future__ import annotations

import os
from typing import Final

import tensorflow as tf

from reglab.config import Config
from reglab.core.step import initial_state
from reglab.data import Dataset
from reglab.engine.assembly import make_step
from reglab.engine.placement import place_lanes
from reglab.engine.sources.arrays import EVALUATION_BATCH

CPU_LANES: Final = 32
"""More do not make a step faster, since `placement` keeps the lanes at work in the cache; and a killed sweep keeps only
finished calls, so that smaller calls lose less."""
GPU_LANES: Final = 256
"""The most lanes on each GPU."""
_COPIES: Final = 4  # The state's variables, the loop's copy, and temporary arrays of the update.
_SHARE: Final = 0.5  # The share of the free memory that may be used.


def choose_lanes_per_call(total: int, config: Config, dataset: Dataset) -> int:
    """Returns the number of lanes per call for `total` lanes that all train on splits of `dataset`.

    Lanes are spread evenly over the calls, so that as few places as possible are filled by repetition.
    """
    gpus = sum(device.startswith("GPU") for device in place_lanes(config).devices)
    state, activations = lane_bytes(config, dataset)
    in_memory = int(_SHARE * _free_memory(bool(gpus))) // (_COPIES * state + activations)
    largest = max(1, gpus * min(in_memory, GPU_LANES) if gpus else min(in_memory, CPU_LANES))
    return -(-total // -(-total // largest))


def lane_bytes(config: Config, dataset: Dataset) -> tuple[int, int]:
    """Returns the bytes of one lane: of its parameters, slots and gradients, and of the activations of a batch."""
    step = make_step(config, dataset)
    weights = step.model.initialize(0)
    arrays = tf.nest.flatten((weights, weights.parameters, initial_state(step, weights)["slots"]))
    item = arrays[0].dtype.size
    # Each layer's product and nonlinearity; a training step keeps both too, for a batch that is usually smaller.
    activations = 2 * max(EVALUATION_BATCH, config.batch_size) * step.model.activations * item
    return sum(array.shape.num_elements() for array in arrays) * item, activations


def _free_memory(on_gpu: bool) -> int:
    if on_gpu:
        from tensorflow.python.client import device_lib

        return min(device.memory_limit for device in device_lib.list_local_devices() if device.device_type == "GPU")
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # Not known on this system.
        return 2**31
