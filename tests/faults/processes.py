"""Starting commands, as forks of the server (`server.py`) or as fresh processes, and what came of them."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

ROOT: Final = pathlib.Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
      argv: the module and its arguments.
      code: the exit code, negative for a signal; None if it hung and was killed.
      out, err: what it printed.
      cpu: seconds of processor time; peak_bytes: its largest memory.
    """

    argv: tuple[str, ...]
    code: int | None
    out: str
    err: str
    seconds: float = 0.0
    cpu: float = 0.0
    peak_bytes: int = 0
    pid: int = 0

    @property
    def lines(self) -> list[str]:
        """All that is not blank, of both streams."""
        return [line for line in (self.out + "\n" + self.err).splitlines() if line.strip()]

    @property
    def has_traceback(self) -> bool:
        """Whether Python or the C library gave up."""
        return bool(re.search(r"^Traceback \(most recent call last\)|^Fatal Python error|^Exception ignored|"
                              r"^Exception in thread|^Current thread 0x|core dumped", self.out + "\n" + self.err, re.M))


class Process:
    """A command that runs. `wait` tells how it ended."""

    def __init__(self, argv: Sequence[str], out: pathlib.Path, err: pathlib.Path) -> None:
        self.argv, self._out, self._err = tuple(argv), out, err
        self.pid = 0
        self.started, self.ended = threading.Event(), threading.Event()
        self.facts: dict[str, Any] = {}
        self.end_time = 0.0

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self.ended.is_set()

    def send(self, number: int) -> bool:
        """Sends a signal to it alone; whether it still ran."""
        if self.ended.is_set():
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        return True

    def kill(self) -> None:
        """Ends it and all it started."""
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def wait(self, timeout: float) -> Outcome:
        """How it ended; killed if it has not after `timeout` seconds."""
        hung = not self.ended.wait(timeout)
        if hung:
            self.kill()
            self.ended.wait(30)
        out, err = (_read(path) for path in (self._out, self._err))
        for path in (self._out, self._err):
            path.unlink(missing_ok=True)
        facts = {name: self.facts.get(name, 0) for name in ("seconds", "cpu", "peak_bytes")}
        return Outcome(self.argv, None if hung else self.facts.get("code"), out, err, pid=self.pid, **facts)


class Commands:
    """Starts commands of reglab.

    Args:
      folder: where what they print is kept meanwhile, and XLA's compiled code.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder, self._numbers, self._sending = folder, itertools.count(), threading.Lock()
        self._processes: dict[int, Process] = {}
        (folder / "out").mkdir(parents=True, exist_ok=True)
        (folder / "out").chmod(0o777)
        self.environment = environment(folder)
        self._server = subprocess.Popen([sys.executable, "-m", "tests.faults.server"], cwd=ROOT, bufsize=0,
                                        env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._ready = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, argv: Sequence[str], *, cwd: pathlib.Path, env: Mapping[str, str] | None = None,
              obey_permissions: bool = False, file_bytes: int | None = None) -> Process:
        """Starts `python -m argv` as a fork of the server.

        Args:
          obey_permissions: root too.
          file_bytes: how large a file may grow.
        """
        self._wait_until_ready()
        process = self._make(argv)
        number = next(self._numbers)
        self._processes[number] = process
        request = {"id": number, "argv": list(argv), "cwd": str(cwd), "env": dict(env or {}),
                   "obey_permissions": obey_permissions, "file_bytes": file_bytes, "out": str(process._out),
                   "err": str(process._err)}
        with self._sending:
            assert self._server.stdin is not None
            self._server.stdin.write(json.dumps(request).encode() + b"\n")
        if not process.started.wait(60):
            raise RuntimeError("the server of tests.faults does not answer")
        return process

    def run(self, argv: Sequence[str], *, cwd: pathlib.Path, timeout: float = 60, **how: Any) -> Outcome:
        """Starts a command and waits for it."""
        return self.start(argv, cwd=cwd, **how).wait(timeout)

    def start_fresh(self, argv: Sequence[str], *, cwd: pathlib.Path, env: Mapping[str, str] | None = None) -> Process:
        """Starts `python -m argv` as a user would: a process that has imported nothing yet."""
        process = self._make(argv)
        with open(process._out, "wb") as out, open(process._err, "wb") as err:
            started = subprocess.Popen([sys.executable, "-m", *argv], cwd=cwd, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=err, start_new_session=True, env={**self.environment, **(env or {})})
        process.pid = started.pid
        process.started.set()
        threading.Thread(target=_await, args=(process, started, time.monotonic()), daemon=True).start()
        return process

    def run_fresh(self, argv: Sequence[str], *, cwd: pathlib.Path, timeout: float = 60, **how: Any) -> Outcome:
        """Starts a fresh process and waits for it."""
        return self.start_fresh(argv, cwd=cwd, **how).wait(timeout)

    def close(self) -> None:
        """Ends all that still runs."""
        for process in list(self._processes.values()):
            process.kill()
        assert self._server.stdin is not None
        self._server.stdin.close()
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()

    def _make(self, argv: Sequence[str]) -> Process:
        number = next(self._numbers)
        return Process(argv, self._folder / "out" / f"{number}.out", self._folder / "out" / f"{number}.err")

    def _wait_until_ready(self) -> None:
        if not self._ready.wait(120) or self._server.poll() is not None:
            raise RuntimeError("the server of tests.faults did not start: see above")

    def _listen(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            message = json.loads(line)
            if "ready" in message:
                self._ready.set()
            elif "pid" in message:
                self._processes[message["id"]].pid = message["pid"]
                self._processes[message["id"]].started.set()
            else:
                process = self._processes.pop(message["id"])
                process.facts, process.end_time = message, time.monotonic()
                process.ended.set()
        self._ready.set()
        for process in list(self._processes.values()):
            process.started.set()
            process.ended.set()


def environment(folder: pathlib.Path) -> dict[str, str]:
    """The variables of all commands: reglab from this working copy, XLA's code in `folder`."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("TF_", "SLURM_", "REGLAB_", "XLA_"))}
    paths = [str(ROOT), *kept.get("PYTHONPATH", "").split(os.pathsep)]
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in paths if path), "CUDA_VISIBLE_DEVICES": "",
            "REGLAB_COMPILE_CACHE": str(folder / "compiled")}


def _await(process: Process, started: subprocess.Popen[bytes], began: float) -> None:
    _, status, usage = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    process.end_time = time.monotonic()
    process.facts = {"code": started.returncode, "seconds": process.end_time - began,
                     "cpu": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024}
    process.ended.set()


def _read(path: pathlib.Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_bytes()[:1_000_000].decode(errors="replace")
    return ""
