"""Random moments of a command at work: by the clock, or by how much it has written, however fast the machine is."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import time

from tests.faults.processes import Process
from tests.faults.subjects import Reference


def wait_for_moment(process: Process, run: pathlib.Path, reference: Reference, rng: random.Random) -> bool:
    """Waits for a random moment of a command that writes the folder `run`; whether it is still at work then."""
    if rng.random() < 0.4:
        return not process.ended.wait(rng.uniform(0, 0.8 * reference.first.seconds))
    wanted = 0.9 * rng.random() * bytes_in(reference.folder / "run")
    while not process.ended.is_set():
        if bytes_in(run) >= wanted:
            return not process.ended.wait(rng.choice((0, 0, rng.uniform(0, 0.1))))
        time.sleep(0.001)
    return False


def bytes_in(folder: pathlib.Path) -> int:
    """What a folder that others write to holds by now; a file counts at least a little."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += 100 + os.stat(os.path.join(place, name)).st_size
    return total
