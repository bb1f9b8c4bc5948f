"""Whether a network fits into memory, estimated before anything is allocated."""

from __future__ import annotations

import contextlib
import pathlib
import re
from typing import Final

from reglab.config import Config, ConfigError
from reglab.config.selection import make_model
from reglab.core.models import Model
from reglab.inputs.texts import shown

_SLOTS: Final = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2}
_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_LARGEST_GPU: Final = 300 * 10**9


def available_memory() -> int:
    """Returns the available memory in bytes; 2^36 on systems that do not report it."""
    found = []
    with contextlib.suppress(OSError):
        known = re.search(r"^MemAvailable: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE)
        found += [int(known[1]) * 1024] if known else []
    for limit in _LIMITS:  # The limits of a container.
        with contextlib.suppress(OSError, ValueError):
            found.append(int(pathlib.Path(limit).read_text()))
    return min(found, default=2**36)


def memory_of(config: Config, model: Model, lanes: int = 1, batch: int = 0) -> dict[str, int]:
    """Returns the bytes that training takes, by what takes them; only one lane's gradients are there at a time.

    Args:
      lanes: the number of lanes that train together.
      batch: the largest number of examples that go through the network together; 0 leaves activations out.
    """
    item = 8 if config.precision == "float64" else 4
    slots = _SLOTS[config.optimizer] + (config.ema is not None)
    found = {"parameters": lanes * model.size, "slots": lanes * slots * model.size, "gradients": model.size,
             # Each layer's product and nonlinearity; a training step keeps both too.
             "activations": 2 * batch * model.activations}
    return {name: item * count for name, count in found.items()}


def check_memory(config: Config, *, input_shape: tuple[int, ...] | None = None, classes: int = 2,
                 lanes: int = 1) -> None:
    """Refuses a network whose parameters, gradients and slots alone exceed the memory.

    Args:
      input_shape, classes: those of the data, or the least that any data have.
      lanes: the number of lanes that train together.

    Raises:
      ConfigError: they are.
    """
    model = make_model(config, input_shape, classes)
    parameters = model.size
    needed = sum(memory_of(config, model, lanes).values())
    if needed < 10**8:
        return
    # A GPU's memory is known only once TensorFlow runs, so here each counts as the largest there is.
    gpus = len(list(pathlib.Path("/dev").glob("nvidia[0-9]*")))
    free = available_memory() + gpus * _LARGEST_GPU
    if needed > free:
        many = f" in each of {lanes:,} lanes" if lanes > 1 else ""
        fix = "train fewer lanes together, or give" if lanes > 1 else "give"
        given = getattr(config, model.sized_by)
        raise ConfigError(f"--{model.sized_by}={shown(given)}: the network has {parameters:,} parameters{many}, which "
                          f"take {_gigabytes(needed)} with gradients and slots, and {_gigabytes(free)} are free: "
                          f"{fix} fewer or narrower layers")


def _gigabytes(count: int) -> str:
    return f"{count / 10**9:,.1f} GB"
