"""Devices that were asked for and are not there: what is said, and what can be known before TensorFlow is imported."""

from __future__ import annotations

import glob
import sys

from reglab.config.errors import ConfigError

_GPU_FILES = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dxg")


def check_devices(wanted: int | None, found: int, kind: str) -> None:
    """Passes where there are as many devices as are wanted.

    Raises:
      ConfigError: there are fewer of that `kind`, CPU or GPU.
    """
    if wanted is not None and wanted > found:
        there = f"is only 1 {kind}" if found == 1 else f"are only {found} {kind}s"
        more = ", or split the CPU with --cpu_devices" if kind == "CPU" else ""
        raise ConfigError(f"--num_devices={wanted}, but there {there}: ask for at most that{more}")


def may_have_gpus() -> bool:
    """False where this machine surely has no GPU that TensorFlow could use: Linux without a file for one."""
    return sys.platform != "linux" or any(glob.glob(pattern) for pattern in _GPU_FILES)
