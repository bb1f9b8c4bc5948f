"""Requests for devices that do not exist: the message, and what can be known before TensorFlow is imported."""

from __future__ import annotations

import glob
import sys

from reglab.config.errors import ConfigError

_GPU_FILES = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dxg")


def check_devices(wanted: int | None, found: int, kind: str) -> None:
    """Checks that there are as many devices as are wanted; None wants no particular number.

    Raises:
      ConfigError: there are fewer devices of that `kind`, CPU or GPU.
    """
    if wanted is not None and wanted > found:
        there = f"is only 1 {kind}" if found == 1 else f"are only {found} {kind}s"
        more = ", or split the CPU with --cpu_devices" if kind == "CPU" else ""
        raise ConfigError(f"--num_devices={wanted}, but there {there}: ask for at most that{more}")


def is_sure_of_one_cpu() -> bool:
    """Whether TensorFlow will surely find one CPU and no GPU: on Linux without GPU device files, before its import."""
    return (sys.platform == "linux" and "tensorflow" not in sys.modules
            and not any(glob.glob(pattern) for pattern in _GPU_FILES))
