"""Slurm's variables: `srun python -m reglab.train …` forms a cluster, a batch script or an `salloc` shell does not.

What `srun` says about its step takes precedence over the variables of the whole job, which may have several steps.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from typing import Final

from reglab.cluster.base import MOST_WORKERS, Cluster
from reglab.config import ConfigError
from reglab.inputs.texts import shown

# Slurm numbers the steps of `srun` upward from 0, and others (batch script, shell, extern) downward from 2^32.
_FIRST_SPECIAL_STEP: Final = 2**32 - 16

# Below the ports that Linux uses for outgoing connections (from 32768), and 16 apart for the tasks of one node, so that
# jobs and steps sharing a node rarely collide. A node with more than 16 tasks reaches into the next range. Where a port
# is taken after all, its task looks `_STRIDE` places further, a few times: away from the neighbours, jobs of about now.
_FIRST_PORT: Final = 20_000
_SPACING: Final = 16
_PLACES: Final = 750
_STRIDE: Final = 173
_CHOICES: Final = 12

_MOST_CHARACTERS: Final = 2**16
_MOST_IN_NAME: Final = 255
_MOST_PARTS: Final = 64  # The parts of one name, as in rack[1-2]n[3-4]; Slurm itself accepts only a few.
_NUMBER: Final = "[0-9]{1,18}"
_RANGES: Final = rf"\[{_NUMBER}(?:-{_NUMBER})?(?:,{_NUMBER}(?:-{_NUMBER})?)*\]"
_NODES: Final = rf"(?:[A-Za-z0-9._-]|{_RANGES})+"


def cluster_from_slurm(environ: Mapping[str, str]) -> Cluster | None:
    """Returns the tasks of the `srun` that started this process; None if none did, or if it started a single task.

    Each task listens on its own port, numbered on each node from `REGLAB_PORT` or, if that is unset, from a port
    computed from the job and step numbers, or from another one if that is taken (see `rendezvous.py`).

    Raises:
      ConfigError: a variable is missing or malformed, or the tasks are not distributed in blocks.
    """
    if not environ.get("SLURM_JOB_ID") or not _in_step(environ):
        return None
    size = _number(environ, "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS")
    if size == 1:
        return None
    if size > MOST_WORKERS:
        raise ConfigError(f"SLURM_NTASKS={size}: reglab trains with at most {MOST_WORKERS:,} workers")
    node_variable, nodes_text = _first(environ, "SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")
    count_variable, counts_text = _first(environ, "SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE")
    nodes, counts = expand_nodes(nodes_text, node_variable), expand_counts(counts_text, count_variable)
    if len(counts) != len(nodes) or sum(counts) != size:
        raise ConfigError(f"{count_variable}={shown(counts_text, 80)} does not place {size} tasks on "
                          f"{node_variable}={shown(nodes_text, 80)}: start reglab with srun, and change no SLURM_ "
                          "variable")
    port, *others = _ports(environ)
    places = [(node, rank) for node, count in enumerate(counts) for rank in range(count)]
    index = _number(environ, "SLURM_PROCID")
    place = _number(environ, "SLURM_NODEID"), _number(environ, "SLURM_LOCALID")
    if port + max(counts) > 65536:
        raise ConfigError(f"REGLAB_PORT={port}: the {max(counts)} tasks of a node need as many ports from there on, up "
                          "to 65535: give a lower one")
    if index >= size or places[index] != place:
        raise ConfigError(f"SLURM_PROCID={index} is task {place[1]} of node {place[0]} (SLURM_LOCALID, SLURM_NODEID), "
                          "so the tasks do not fill one node after the other: add --distribution=block to srun")
    addresses = tuple(f"{nodes[node]}:{port + rank}" for node, rank in places)
    return Cluster(addresses, index, "Slurm", _step_name(environ) if others else "", tuple(n - port for n in others))


def idle_tasks(environ: Mapping[str, str]) -> int:
    """Returns how many further tasks the job has if `srun` did not start this process, which trains without them."""
    tasks = environ.get("SLURM_NTASKS", "")
    if not environ.get("SLURM_JOB_ID") or _in_step(environ) or not tasks.isdecimal() or len(tasks) > 9:
        return 0
    return max(0, int(tasks) - 1)


def gpus_are_bound(environ: Mapping[str, str]) -> bool:
    """Whether Slurm has given each task its own GPUs, instead of giving all tasks the GPUs of the node.

    That is the case if GPUs were requested per task, or if this task sees fewer than its step has on this node.
    """
    if "SLURM_GPUS_PER_TASK" in environ or "gpu" in environ.get("SLURM_TRES_PER_TASK", ""):
        return True
    step, own = environ.get("SLURM_STEP_GPUS"), environ.get("CUDA_VISIBLE_DEVICES")
    return bool(step and own) and len(str(own).split(",")) < len(str(step).split(","))


def expand_nodes(text: str, variable: str = "SLURM_JOB_NODELIST") -> list[str]:
    """Expands "node[01-03,07],gpu-a" or "rack[1-2]n[3-4]" into node names, in Slurm's order.

    Raises:
      ConfigError: it is malformed, or names too many nodes.
    """
    if len(text) > _MOST_CHARACTERS or not re.fullmatch(f"{_NODES}(,{_NODES})*", text):
        raise ConfigError(f"{variable}={shown(text)} is not a list of nodes such as node[01-03,07],gpu-a: start "
                          "reglab with srun, and change no SLURM_ variable")
    names: list[str] = []
    for item in re.finditer(_NODES, text):
        parts = re.findall(r"\[(.*?)\]|([^][]+)", item[0])
        counts = [_count(ranges) if ranges else 1 for ranges, _ in parts[:_MOST_PARTS]]
        if 0 in counts or sum(len(name) for _, name in parts) > _MOST_IN_NAME:
            raise ConfigError(f"{variable}={shown(text)} is not a list of nodes: '{shown(item[0], 60)}' has a range "
                              "that counts down, or is too long for a name: start reglab with srun, and change no "
                              "SLURM_ variable")
        if len(parts) > _MOST_PARTS or len(names) + math.prod(counts) > MOST_WORKERS:
            raise _too_many(variable, text)
        names += map("".join, itertools.product(*(_numbers(ranges) if ranges else [name] for ranges, name in parts)))
    return names


def expand_counts(text: str, variable: str = "SLURM_TASKS_PER_NODE") -> list[int]:
    """Expands "2(x3),1" into [2, 2, 2, 1].

    Raises:
      ConfigError: it is malformed, or names too many nodes.
    """
    counts: list[int] = []
    for item in text[:_MOST_CHARACTERS].split(","):
        match = re.fullmatch(rf"({_NUMBER})(?:\(x({_NUMBER})\))?", item)
        if match is None:
            raise ConfigError(f"{variable}={shown(text)} is not a list of counts such as 2(x3),1: start reglab "
                              "with srun, and change no SLURM_ variable")
        if len(counts) + int(match[2] or 1) > MOST_WORKERS:
            raise _too_many(variable, text)
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def _numbers(ranges: str) -> list[str]:
    """Expands "01-02,07" into ["01", "02", "07"]; numbers are as wide as the first of their range."""
    spans = [(first, last or first) for first, _, last in (span.partition("-") for span in ranges.split(","))]
    return [f"{n:0{len(first)}}" for first, last in spans for n in range(int(first), int(last) + 1)]


def _too_many(variable: str, text: str) -> ConfigError:
    return ConfigError(f"{variable}={shown(text)} names more than {MOST_WORKERS:,} nodes, and reglab trains with at "
                       "most as many workers: ask for fewer")


def _count(ranges: str) -> int:
    """Counts the names that `_numbers` gives; 0 if a range counts down, as its negative length would offset others."""
    spans = ((first, last or first) for first, _, last in (span.partition("-") for span in ranges.split(",")))
    lengths = [int(last) - int(first) + 1 for first, last in spans]
    return sum(lengths) if min(lengths) > 0 else 0


def _in_step(environ: Mapping[str, str]) -> bool:
    """Whether `srun` started this process."""
    step = environ.get("SLURM_STEP_ID", environ.get("SLURM_STEPID", ""))
    return step.isdecimal() and len(step) <= 18 and int(step) < _FIRST_SPECIAL_STEP


def _step_name(environ: Mapping[str, str]) -> str:
    """Names the step among all of its cluster: no other has its numbers, and a requeued job counts its starts."""
    return ".".join(environ.get(name, "")[:64] for name in (
        "SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_STEPID", "SLURM_RESTART_COUNT"))


def _ports(environ: Mapping[str, str]) -> list[int]:
    """Returns the ports that the first task on each node may have, the same in all tasks, the preferred one first."""
    if environ.get("REGLAB_PORT"):
        port = _number(environ, "REGLAB_PORT")
        if not 1024 <= port < 65536:
            raise ConfigError(f"REGLAB_PORT={port}: give the first of some free ports, from 1024 to 65535")
        return [port]
    job, step = _number(environ, "SLURM_JOB_ID"), _number(environ, "SLURM_STEP_ID", "SLURM_STEPID")
    place = job * 7 + step  # 7: room for a job's steps before the next job's.
    return [_FIRST_PORT + _SPACING * ((place + i * _STRIDE) % _PLACES) for i in range(_CHOICES)]


def _first(environ: Mapping[str, str], *variables: str) -> tuple[str, str]:
    """Returns the first of the variables that is set, and its value.

    Raises:
      ConfigError: none of them is set.
    """
    for variable in variables:
        if environ.get(variable):
            return variable, environ[variable]
    raise ConfigError(f"{variables[0]} is not set, though SLURM_JOB_ID and SLURM_STEP_ID are: start reglab with srun, "
                      "which sets it, or unset SLURM_JOB_ID to run alone")


def _number(environ: Mapping[str, str], *variables: str) -> int:
    variable, text = _first(environ, *variables)
    if not text.isdecimal() or len(text) > 18:
        raise ConfigError(f"{variable}={shown(text)}: give a whole number, or leave the variable as srun set it")
    return int(text)
