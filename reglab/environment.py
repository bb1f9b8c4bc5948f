"""What really runs: devices and versions, for the header and `result.json`."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np
import tensorflow as tf

import reglab


def device_name() -> str:
    """The device that computations go to, for people: "GPU (NVIDIA H200)", or "CPU (2 cores)"."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return f"GPU ({details.get('device_name', gpus[0].name)})"
    return f"CPU ({usable_cores()} cores)"


def usable_cores() -> int:
    """The processor cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Versions of all that can change the last bits of a result."""
    return {"reglab": reglab.__version__, "python": platform.python_version(), "tensorflow": tf.__version__,
            "numpy": np.__version__}


def numerics() -> dict[str, Any]:
    """Settings outside the configuration that change the last bits of a result."""
    return {"onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
            "xla_flags": os.environ.get("XLA_FLAGS", ""), "machine": platform.machine()}
