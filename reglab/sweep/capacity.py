"""How many lanes train together: as many as memory holds, but no more than make the step faster."""

from __future__ import annotations

import os
from typing import Final

import tensorflow as tf

from reglab.config import Config
from reglab.data import Dataset
from reglab.engine.assembly import make_step
from reglab.engine.placement import place_lanes
from reglab.engine.sources.arrays import EVALUATION_BATCH

CPU_LANES: Final = 32
"""More make no step faster, since `placement` keeps those at work in the cache, and a finished call is what a killed
sweep keeps."""
GPU_LANES: Final = 256
"""On each."""
_COPIES: Final = 4  # The state's variables, the loop's copy, and temporary arrays of the update.
_SHARE: Final = 0.5  # Of the memory that is free.


def choose_lanes_per_call(total: int, config: Config, dataset: Dataset) -> int:
    """Lanes a call for `total` lanes that all train on splits of `dataset`.

    They are spread evenly over the calls, so that as few places as possible are filled by repetition.
    """
    gpus = sum(device.startswith("GPU") for device in place_lanes(config).devices)
    state, activations = lane_bytes(config, dataset)
    in_memory = int(_SHARE * _free_memory(bool(gpus))) // (_COPIES * state + activations)
    largest = max(1, gpus * min(in_memory, GPU_LANES) if gpus else min(in_memory, CPU_LANES))
    return -(-total // -(-total // largest))


def lane_bytes(config: Config, dataset: Dataset) -> tuple[int, int]:
    """Bytes of one lane: of its parameters, slots and gradients; of the activations of an evaluation's batch."""
    step = make_step(config, dataset)
    weights = step.model.initialize(0)
    arrays = tf.nest.flatten((weights, weights.parameters, step.optimizer.slots(weights.parameters)))
    item = arrays[0].dtype.size
    # Each layer's product and its nonlinearity; a training step keeps both too, on the usually smaller batch.
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
