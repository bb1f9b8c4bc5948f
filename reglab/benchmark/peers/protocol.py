"""What all peers share: reading the job, answering the parent, timing, and judging the final weights.

A peer is `python -m reglab.benchmark.peers.<module> job.npz`. It builds, compiles and warms up, and then answers each
line on stdin with one JSON object on a line of stdout, so that the parent decides whose turn it is:

    (start)    {"ready": true, "compile_seconds": …, "tuning_seconds": …}
    run        {"seconds": …, "steps": …}           one repeat; each continues where the previous one stopped
    finish     {"loss": [lanes], "data_loss": [lanes], "deviation": [lanes], "peak_memory_bytes": …,
                "versions": {…}, "settings": "…"}

Between lines it is blocked on stdin and uses no processor time.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import pathlib
import re
import resource
import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

import numpy as np
import numpy.typing as npt

from reglab.benchmark.peers.job import Job, Weights, objective
from reglab.benchmark.peers.reference import deviation


class Trainer(Protocol):
    """A training run in one library. Its constructor takes the job, builds the network and puts data on the device.

    Attributes:
      packages: the distributions whose versions are reported with the result.
      settings: a description of the settings used.
      tuning_seconds: the time that the constructor spent on trying settings, which does not count as compilation.
      epsilon_last: where its Adam adds ε, see `reference.deviation`.
    """

    packages: tuple[str, ...]
    settings: str
    tuning_seconds: float
    epsilon_last: bool

    def prepare(self, order: npt.NDArray[np.int32]) -> Callable[[], None]:
        """Prepares the host's part of the coming steps, [steps, batch], which is not timed.

        Returns:
          A function that takes these steps and returns when the device has finished them.
        """

    def weights(self) -> Weights:
        """Returns the current weights."""


def serve(make_trainer: Callable[[Job], Trainer]) -> None:
    """Runs a peer's process to its end.

    Raises:
      ValueError: the parent sent a line that is not a command.
    """
    with private_stdout() as answers:
        job = Job.load(sys.argv[1])
        start = time.perf_counter()
        trainer = make_trainer(job)
        trainer.prepare(job.order[:job.warmup_steps])()
        seconds = time.perf_counter() - start
        warm = [(kernel.copy(), bias.copy()) for kernel, bias in trainer.weights()]
        answer(answers, {"ready": True, "compile_seconds": seconds - trainer.tuning_seconds,
                          "tuning_seconds": trainer.tuning_seconds})
        position = job.warmup_steps
        for line in sys.stdin:
            command = line.strip()
            if command == "run":
                seconds = _time(trainer.prepare(job.order[position:position + job.steps]))
                position += job.steps
                answer(answers, {"seconds": seconds, "steps": job.steps})
            elif command == "finish":
                answer(answers, _result(job, trainer, warm))
                return
            else:
                raise ValueError(f"{command!r} is no command: run or finish")


def one_lane(job: Job) -> Weights:
    """Returns the initial weights without their lane axis, for libraries that train one network at a time.

    Raises:
      ValueError: the job has more than one lane.
    """
    if job.lanes != 1:
        raise ValueError(f"this peer trains one lane, not {job.lanes}")
    return [(kernel[0], bias[0]) for kernel, bias in job.weights]


def fastest(candidates: dict[str, Callable[[], None]], repeats: int = 3) -> str:
    """Returns the name of the candidate with the shortest time; each first runs once untimed, then they take turns."""
    for run in candidates.values():
        run()
    times = {name: float("inf") for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            times[name] = min(times[name], _time(run))
    return min(times, key=times.__getitem__)


def peak_memory_bytes() -> int:
    """The peak resident memory of this process on the host."""
    # ru_maxrss survives exec, so a child of a large parent would report its parent's peak; VmHWM is reset.
    status = pathlib.Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _time(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _result(job: Job, trainer: Trainer, warm: Weights) -> dict[str, object]:
    memory = peak_memory_bytes()  # Taken before judging the weights, which is not part of training.
    total, data_loss = objective(job, trainer.weights())
    versions = {name: importlib.metadata.version(name) for name in trainer.packages}
    return {"loss": total, "data_loss": data_loss, "deviation": deviation(job, warm, epsilon_last=trainer.epsilon_last),
            "peak_memory_bytes": memory, "versions": versions, "settings": trainer.settings}


def private_stdout() -> TextIO:
    """Returns the original stdout, and sends everything printed from now on, from Python or C++, to stderr."""
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def answer(answers: TextIO, fields: dict[str, object]) -> None:
    """Sends one JSON line to the parent."""
    print(json.dumps(fields), file=answers, flush=True)
