"""A real Slurm under one folder: munged, a controller and several nodes, each a daemon of its own on the loopback.

The nodes are named by addresses, 127.0.0.1, 127.0.0.2 and so on, since the workers of a job find each other by the
names of their nodes, and no other names stand for several hosts without entries in /etc/hosts. They share this
machine's ports, which two hosts would not.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Final

PROGRAMS: Final = ("munged", "slurmctld", "slurmd", "sinfo", "squeue", "srun", "sbatch", "scancel", "scontrol")
CPUS: Final = 8  # Of each node, as Slurm is told: more than there are, since what the tests run mostly waits.

_PATIENCE: Final = 120.0  # Seconds for what takes two where nothing else runs.
_PR_SET_PDEATHSIG: Final = 1  # So that no daemon outlives a test that is killed.
_SYSTEM: Final = "/usr/sbin:/sbin"  # Where the daemons are, which the PATH of a user may not name.
# cred_expire is also how long a job that was requeued waits before it starts again; two minutes where it is not set.
_CONFIGURATION: Final = """\
ClusterName=reglab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MessageTimeout=60
KillWait=60
{nodes}
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def lacking() -> str | None:
    """Says in a line why no Slurm can be set up here; None if one can."""
    if missing := [program for program in PROGRAMS if _path(program) is None]:
        return f"no Slurm here ({', '.join(missing)} not found): install Debian's slurm-wlm"
    return None if os.geteuid() == 0 else "a Slurm of one's own is set up by root alone"


@contextlib.contextmanager
def slurm(nodes: int = 2) -> Iterator[dict[str, str]]:
    """Sets up a Slurm of so many nodes in a temporary folder, which is gone after the block with all that runs there.

    Yields:
      The variables by which Slurm's commands find it.

    Raises:
      RuntimeError: it did not start; what its daemons said is in the message.
    """
    folder = pathlib.Path(tempfile.mkdtemp(prefix="reglab-slurm-"))
    folder.chmod(0o755)  # munged refuses a folder that others cannot pass through.
    found = {"SLURM_CONF": str(folder / "slurm.conf")}
    names = [f"127.0.0.{i + 1}" for i in range(nodes)]
    try:
        with contextlib.ExitStack() as stack:
            _configure(folder, names)
            _start(stack, folder, "munged", "--foreground", f"--socket={folder}/munge.socket",
                   f"--key-file={folder}/munge.key", f"--pid-file={folder}/munged.pid",
                   f"--seed-file={folder}/munged.seed", f"--log-file={folder}/munged.log")
            _await(folder, (folder / "munge.socket").exists)
            _start(stack, folder, "slurmctld", "-D", "-i", **found)
            for name in names:
                _start(stack, folder, "slurmd", "-D", "-N", name, **found)
            _await(folder, lambda: _ask(found, "sinfo", "-h", "-t", "idle", "-o", "%D").strip() == str(nodes))
            stack.callback(_cancel_all, folder, found)
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _configure(folder: pathlib.Path, names: list[str]) -> None:
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(128))
    port, *ports = _free_ports(1 + len(names))
    lines = [f"NodeName={name} NodeAddr={name} NodeHostname={socket.gethostname()} Port={its} CPUs={CPUS} State=UNKNOWN"
             for name, its in zip(names, ports, strict=True)]
    (folder / "slurm.conf").write_text(_CONFIGURATION.format(
        host=socket.gethostname(), port=port, folder=folder, nodes="\n".join(lines)))


def _start(stack: contextlib.ExitStack, folder: pathlib.Path, program: str, *flags: str, **environment: str) -> None:
    """Starts a daemon; it is ended when the stack closes."""
    log = stack.enter_context((folder / "daemons.log").open("ab"))
    prctl = ctypes.CDLL(None).prctl
    daemon = subprocess.Popen([str(_path(program)), *flags], env=_environment(environment), stdin=subprocess.DEVNULL,
                              stdout=log, stderr=log, start_new_session=True,
                              preexec_fn=lambda: prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM)))
    stack.callback(_end, daemon)


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _cancel_all(folder: pathlib.Path, found: dict[str, str]) -> None:
    """Ends every job, so that no process of one is left when the daemons are gone."""
    with contextlib.suppress(RuntimeError):
        _ask(found, "scancel", "--signal=KILL", "--full", "--user=root")
        _ask(found, "scancel", "--user=root")
        _await(folder, lambda: not _ask(found, "squeue", "-h").strip())


def _await(folder: pathlib.Path, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            log = (folder / "daemons.log").read_text(errors="replace")
            raise RuntimeError(f"Slurm did not get there in {_PATIENCE:g} s; its daemons said:\n{log[-3000:]}")
        time.sleep(0.2)


def _ask(found: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=_environment(found), capture_output=True, text=True).stdout


def _environment(more: dict[str, str]) -> dict[str, str]:
    """That of the daemons and their clients, and so of every job: nothing of a Slurm that this process may run in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
    return kept | more


def _path(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path=_SYSTEM)


def _free_ports(count: int) -> list[int]:
    """Ports below those of outgoing connections and above those of the workers (20,000 to 32,000)."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        for port in range(32_100, 32_700):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("", port)))
                found.append(port)
            if len(found) == count:
                break
        return found
