"""The actual environment of a run, devices and versions, for the header and `result.json`."""

from __future__ import annotations

import os
import pathlib
import platform
from typing import Any

import numpy as np
import tensorflow as tf

import reglab

_deterministic = False


def device_name() -> str:
    """The device that computations run on, for display: "GPU (NVIDIA H200)" or "CPU (2 cores)"."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return f"GPU ({details.get('device_name', gpus[0].name)})"
    return f"CPU ({usable_cores()} cores)"


def usable_cores() -> int:
    """The number of processor cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """The versions of everything that can change the last bits of a result."""
    return {"reglab": reglab.__version__, "python": platform.python_version(), "tensorflow": tf.__version__,
            "numpy": np.__version__}


def numerics() -> dict[str, Any]:
    """Everything apart from configuration and versions that can change the last bits of a result."""
    threads = tf.config.threading
    processor, instructions = _processor()
    own = "--tf_xla_persistent_cache"  # Where compiled code is kept makes no difference to results.
    tf_xla_flags = [flag for flag in os.environ.get("TF_XLA_FLAGS", "").split() if not flag.startswith(own)]
    return {"onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
            "xla_flags": os.environ.get("XLA_FLAGS", ""), "tf_xla_flags": " ".join(tf_xla_flags),
            "machine": platform.machine(), "processor": processor, "instructions": instructions,
            "cores": usable_cores(), "intra_op_threads": threads.get_intra_op_parallelism_threads() or "default",
            "inter_op_threads": threads.get_inter_op_parallelism_threads() or "default",
            "deterministic": _deterministic}


def is_deterministic() -> bool:
    """Whether `be_deterministic` has been called."""
    return _deterministic


def be_deterministic() -> None:
    """Makes TensorFlow use operations that give the same bits every time, from now on in this process."""
    global _deterministic
    tf.config.experimental.enable_op_determinism()
    _deterministic = True


def _processor() -> tuple[str, str]:
    """The processor's model, and those of its instruction sets that affect how sums and products are computed."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown", "unknown"
    facts = {name.strip(): text.strip() for name, _, text in (line.partition(":") for line in reversed(lines))}
    kinds = ("sse4", "avx", "fma", "amx", "f16c", "asimd", "sve", "bf16", "i8mm")
    sets = [name for name in sorted(facts.get("flags", facts.get("Features", "")).split()) if name.startswith(kinds)]
    return facts.get("model name", platform.processor() or "unknown"), " ".join(sets)
