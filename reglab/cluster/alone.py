"""Work that one process does, though a cluster of workers was started: worker 0 does it, and the others leave."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final

from reglab.cluster.environment import cluster_from_environment
from reglab.cluster.slurm import idle_tasks
from reglab.config import Config, ConfigError

_VARIABLES: Final = {"TF_CONFIG": "TF_CONFIG", "Slurm": "SLURM_JOB_ID"}


def is_the_one(command: str) -> bool:
    """Whether this process is to do the work of a command that one process does.

    It is, unless it is a worker other than the first; worker 1 says in a line what becomes of them. Worker 0 forgets
    the cluster, so that neither it nor the processes that it starts wait for others.

    Raises:
      ConfigError: the environment describes an impossible cluster, so that nobody knows who worker 0 is.
    """
    cluster = cluster_from_environment(os.environ)
    if cluster is None:
        return True
    if cluster.is_chief:
        for variable in _VARIABLES.values():
            os.environ.pop(variable, None)
    elif cluster.index == 1:
        print(f"reglab: {command} works in one process, so worker 0 of the {cluster.size} does it and the others end; "
              f"unset {_VARIABLES[cluster.source]} for tasks that are to work apart", file=sys.stderr)
    return cluster.is_chief


def check_alone(config: Config, environ: Mapping[str, str]) -> None:
    """Looks at a run that trains without the other tasks: says what it leaves idle, and refuses one trained by each.

    Raises:
      ConfigError: each worker of a cluster would train the same run in a new folder.
    """
    if config.strategy in ("auto", "multi_worker"):
        if (idle := idle_tasks(environ)) and not environ.get("TF_CONFIG"):
            print(f"reglab: trains alone, as one of the {idle + 1} tasks of the Slurm job: start it with srun to train "
                  "on all of them", file=sys.stderr)
    elif config.model_dir is None and (cluster := cluster_from_environment(environ)) is not None:
        raise ConfigError(f"--strategy={config.strategy}: each of the {cluster.size} workers that {cluster.source} "
                          "describes would train this run for itself: start one, leave --strategy out to train "
                          "together, or name a --model_dir of its own for each")
