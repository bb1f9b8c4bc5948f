"""The parent's side of `worker`: measures each section in a separate process. No TensorFlow here."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reglab.benchmark.peer_process import PeerError, PeerProcess
from reglab.benchmark.spread import Spread, ratios, spread
from reglab.benchmark.task import Task
from reglab.config import ConfigError

TIMEOUT: Final = 3600.0  # Seconds for one answer; large networks compile and run for minutes.


class WorkerError(Exception):
    """A worker died or did not answer; the message names the section and the reason."""


def measure_apart(task: Task) -> dict[str, Any]:
    """Measures a section in a new process and returns its result.

    Raises:
      ConfigError: it cannot be measured as asked.
      WorkerError: the process failed.
    """
    with contextlib.closing(_start(task)) as process:
        return _ask(process, task, None)


def scaling(task: Task, counts: Sequence[int]) -> dict[str, Any]:
    """Maps each number of devices to its strong and weak scaling, relative to the first number; the runs take turns.

    `efficiency` is the pace relative to perfect scaling from the first number of devices, in examples per second per
    device.

    Raises:
      ConfigError: there are not that many devices.
      WorkerError: a process failed.
    """
    times, facts = _in_turn({n: dataclasses.replace(task, section="scaling", devices=n) for n in counts})
    first = counts[0]
    losses = {n: fact.pop("first_losses") for n, fact in facts.items()}
    return {str(n): {**facts[n], "loss_difference": _difference(losses[n], losses[first]),
                     "strong": _scaled(times[n]["strong"], times[first]["strong"], task.config.batch_size, n / first),
                     "weak": _scaled(times[n]["weak"], times[first]["weak"], task.config.batch_size * n, 1.0)}
            for n in counts}


def deterministic(task: Task) -> dict[str, Any]:
    """Measures step time with `--deterministic` against that without, on one device; two processes take turns.

    Raises:
      WorkerError: a process failed.
    """
    configs = {name: dataclasses.replace(task.config, deterministic=name == "on") for name in ("off", "on")}
    times, facts = _in_turn({name: dataclasses.replace(task, section="scaling", devices=1, config=config)
                             for name, config in configs.items()})
    seconds = {name: kinds["strong"] for name, kinds in times.items()}
    losses = {name: fact["first_losses"] for name, fact in facts.items()}
    return {"loss_difference": _difference(losses["on"], losses["off"]),
            **{name: {"ratio": ratios(values, seconds["off"]), "step_time_us": spread([1e6 * t for t in values])}
               for name, values in seconds.items()}}


def _in_turn(tasks: Mapping[Any, Task]) -> tuple[dict[Any, dict[str, list[float]]], dict[Any, dict[str, Any]]]:
    """Returns each task's seconds per step, by kind of step, one per round, and the first answer of its process."""
    times: dict[Any, dict[str, list[float]]] = {name: {"strong": [], "weak": []} for name in tasks}
    with contextlib.ExitStack() as stack:
        processes, facts = {}, {}
        for name, task in tasks.items():
            processes[name] = stack.enter_context(contextlib.closing(_start(task)))
            facts[name] = _ask(processes[name], task, None)
        for k in range(task.repeats):
            for name in reversed(list(tasks)) if k % 2 else list(tasks):
                for kind, seconds in _ask(processes[name], tasks[name], "run").items():
                    times[name][kind].append(seconds)
    return times, facts


def _scaled(seconds: list[float], first: list[float], batch_size: int, more_devices: float) -> dict[str, Spread | int]:
    faster = [a / b for a, b in zip(first, seconds, strict=True)]
    return {"batch_size": batch_size, "step_time_us": spread([1e6 * t for t in seconds]),
            "time_ratio": ratios(seconds, first), "efficiency": spread([f / more_devices for f in faster])}


def _difference(losses: list[float], first: list[float]) -> float:
    return max(abs(a - b) / abs(b) for a, b in zip(losses, first, strict=True))


def _start(task: Task) -> PeerProcess:
    started = dataclasses.replace(task, started=time.monotonic())
    return PeerProcess([sys.executable, "-m", "reglab.benchmark.worker", started.to_json()])


def _ask(process: PeerProcess, task: Task, command: str | None) -> dict[str, Any]:
    try:
        answer = process.ask(command, TIMEOUT)
    except PeerError as error:
        raise WorkerError(f"{task.section} could not be measured: {error}") from None
    if "config_error" in answer:
        raise ConfigError(answer["config_error"])
    return answer
