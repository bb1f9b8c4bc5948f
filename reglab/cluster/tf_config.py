"""`TF_CONFIG`, as people and Kubernetes operators set it."""

from __future__ import annotations

import collections
import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from reglab.cluster.base import MOST_WORKERS, Cluster, split_address
from reglab.config import ConfigError
from reglab.inputs.texts import one_line, shown

# The task types that train, in the order in which tf.distribute numbers them.
_WORKERS: Final = ("chief", "master", "worker")
_OTHERS: Final = {
    "ps": "reglab trains synchronously, without parameter servers: leave out the ps tasks",
    "evaluator": "the workers evaluate themselves: leave out the evaluator",
}
_MOST_CHARACTERS: Final = 2**20
_EXAMPLE: Final = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'


def cluster_from_tf_config(text: str) -> Cluster | None:
    """Parses the value of `TF_CONFIG`; returns None if it describes no cluster, as for a local job.

    Raises:
      ConfigError: it is malformed, or describes something that reglab does not support.
    """
    if len(text) > _MOST_CHARACTERS:
        _fail(f"{len(text):,} characters", f"give at most {_MOST_CHARACTERS:,}")
    written = " ".join(text.split())
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        _fail(f"{_short(written)}, which is not JSON ({one_line(error, 120)})", f"give an object such as {_EXAMPLE}")
    if not isinstance(value, dict):
        _fail(_short(written), f"give an object such as {_EXAMPLE}")
    if "sparseCluster" in value:
        _fail('a "sparseCluster"', "the number of workers is fixed in a run: switch enableDynamicWorker off")
    jobs = value.get("cluster") or {}
    if not isinstance(jobs, dict):
        _fail(f'"cluster": {_short(jobs)}', f"give an object such as {_EXAMPLE}")
    jobs = {kind: tasks for kind, tasks in jobs.items() if tasks}
    if not jobs:
        return None
    addresses = _addresses(jobs)
    return Cluster(addresses, _index(jobs, value.get("task")), "TF_CONFIG")


def _addresses(jobs: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the addresses of the workers of all types, the chief first."""
    for kind, tasks in jobs.items():
        _check_kind(kind)
        if not (isinstance(tasks, list) and all(isinstance(task, str) for task in tasks)):
            _fail(f'"{kind}": {_short(tasks)}', f'list the addresses, "{kind}": ["host:2222"]')
    chiefs = [address for kind in ("chief", "master") for address in jobs.get(kind, [])]
    if len(chiefs) > 1:
        _fail(f"{len(chiefs)} chiefs ({shown(', '.join(chiefs[:9]), 80)})", "name one, and make the others workers")
    addresses = tuple(address for kind in _WORKERS for address in jobs.get(kind, []))
    if len(addresses) > MOST_WORKERS:
        _fail(f"{len(addresses):,} workers", f"give at most {MOST_WORKERS:,}")
    counts = collections.Counter(addresses)
    for address in addresses:
        try:
            split_address(address)
        except ValueError:
            _fail(f"the address {_short(address)}", "give host:port, with a port from 1 to 65535")
        if counts[address] > 1:
            _fail(f"the address {_short(address)} {counts[address]} times", "give each worker a port of its own")
    return addresses


def _index(jobs: Mapping[str, list[str]], task: object) -> int:
    """Returns the index of this task among all workers."""
    if not isinstance(task, dict) or "type" not in task or "index" not in task:
        found = "no task" if task is None else f'"task": {_short(task)}'
        _fail(found, 'say which worker this process is, "task": {"type": "worker", "index": 0}')
    kind, index = task["type"], task["index"]
    _check_kind(kind)
    if isinstance(index, str) and index.isdecimal() and len(index) <= 9:
        index = int(index)
    here = len(jobs.get(kind, []))
    if type(index) is not int or not 0 <= index < here:
        fix = f"give an index from 0 to {here - 1}" if here else f'list its address under "cluster" as "{kind}"'
        _fail(f"the task {kind} {_short(index)}, but {here} tasks of that type", fix)
    before = _WORKERS[:_WORKERS.index(kind)]
    return index + sum(len(jobs.get(other, [])) for other in before)


def _check_kind(kind: object) -> None:
    if kind not in _WORKERS:
        _fail(f"a task of type {_short(kind)}", _OTHERS.get(str(kind), f"use the types {' and '.join(_WORKERS[::2])}"))


def _short(value: object) -> str:
    try:
        return shown(value if isinstance(value, str) else json.dumps(value), 80)
    except (ValueError, RecursionError):  # It is nested too deeply, or has a number too long to print.
        return shown(value, 80)


def _fail(found: str, fix: str) -> NoReturn:
    raise ConfigError(f"TF_CONFIG has {' '.join(found.split())}: {fix}")
