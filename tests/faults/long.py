"""`python -m tests.faults.long [STEPS]`: does anything grow in a long run? Memory, handles, threads, time and files.

A small network on the digits, evaluated, saved and summarized as it goes. It prints a table and exits with 4 where
something grew. A million steps take a minute or two of one core.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from reglab.config import Config
from reglab.console import Console
from reglab.data import steps_per_epoch

MAX_POINTS: Final = 500
CONFIG: Final = Config(hidden=(), l1=1e-4, l2=1e-4, schedule="cosine", warmup_steps=100, evaluate_every=100,
                       summary_every=10, checkpoint_every=20_000, max_points=MAX_POINTS, strategy="one_device")


@dataclasses.dataclass(frozen=True)
class Row:
    """What the process held at a step; the pace is that since the row before.

    `relative_pace` is in steps for each fixed product computed at the same time: on a machine shared with others a
    CPU-second does not always hold the same work.
    """

    step: int
    megabytes: float
    handles: int
    threads: int
    steps_per_cpu_second: float
    relative_pace: float
    file_megabytes: float


class _Sampler(Console):
    def __init__(self, every: int, folder: pathlib.Path) -> None:
        self.rows: list[Row] = []
        self._every, self._folder = every, folder
        self._step, self._cpu = 0, time.process_time()

    def progress(self, step: int, epoch: int, losses: Mapping[str, float]) -> None:
        """See `Console`."""
        if step // self._every == self._step // self._every:
            return
        now = time.process_time()
        status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
        files = [path for path in self._folder.rglob("*") if path.is_file() and "checkpoints" not in path.parts]
        self.rows.append(Row(step, int(status["VmRSS"].split()[0]) / 1024, len(os.listdir("/proc/self/fd")),
                             int(status["Threads"]), (step - self._step) / (now - self._cpu),
                             (step - self._step) / (now - self._cpu) * _product_seconds(),
                             sum(path.stat().st_size for path in files) / 2**20))
        self._step, self._cpu = step, time.process_time()


def _product_seconds() -> float:
    """CPU-seconds of a fixed piece of work: the median of several."""
    matrix = np.ones([64, 64])
    taken = []
    for _ in range(9):
        began = time.thread_time()
        for _ in range(300):
            matrix = np.tanh(matrix + 1e-3)
        taken.append(time.thread_time() - began)
    return sorted(taken)[4]


def run(steps: int = 1_000_000, rows: int = 20, **fields: Any) -> list[Row]:
    """Trains about so many steps and looks at the process so many times.

    Args:
      fields: of `CONFIG`, to be replaced.
    """
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow()
    from reglab.run.loop import fit

    config = dataclasses.replace(CONFIG, **fields)
    epochs = max(1, steps // steps_per_epoch(1077, config.batch_size))
    with tempfile.TemporaryDirectory(prefix="reglab-long-") as folder:
        sampler = _Sampler(max(1, steps // rows), pathlib.Path(folder))
        fit(dataclasses.replace(config, epochs=epochs, model_dir=str(pathlib.Path(folder) / "run")), console=sampler)
    return sampler.rows


def growth(rows: list[Row]) -> list[str]:
    """What grew between the first fifth and the end, in a line each."""
    start, end = rows[len(rows) // 5], rows[-1]
    found = []
    if end.megabytes - start.megabytes > max(20, 0.03 * start.megabytes):
        found.append(f"memory grew from {start.megabytes:.0f} to {end.megabytes:.0f} MB")
    if end.handles > start.handles + 2:
        found.append(f"open files grew from {start.handles} to {end.handles}")
    if end.threads > start.threads + 2:
        found.append(f"threads grew from {start.threads} to {end.threads}")
    paces = [row.relative_pace for row in rows[1:]]
    half = len(paces) // 2
    before, after = sorted(paces[:half])[half // 2], sorted(paces[half:])[(len(paces) - half) // 2]
    if after < 0.85 * before:
        found.append(f"the pace fell from {before:.0f} to {after:.0f} steps a fixed piece of work")
    return found


def main(argv: list[str]) -> int:
    """Runs, prints and judges."""
    rows = run(int(argv[0]) if argv else 1_000_000, **({"batch_size": int(argv[1])} if len(argv) > 1 else {}))
    print("      step   MB  handles  threads  steps/CPU-s  relative pace  MB of metrics and events")
    for row in rows:
        print(f"{row.step:>10,} {row.megabytes:>5.0f} {row.handles:>7} {row.threads:>8} "
              f"{row.steps_per_cpu_second:>12,.0f} {row.relative_pace:>14.1f} {row.file_megabytes:>12.2f}", flush=True)
    found = growth(rows)
    print("\n".join(found) if found else "Nothing grew.")
    return 4 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
