"""Processes that start and end together, and write to the standard streams of this one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import IO, Any, Final

from reglab.signals.stop import COMMAND_SIGNALS

_KILL_DELAY: Final = 1.0  # Seconds that the processes have to end on their own after a second Ctrl-C.
_PR_SET_PDEATHSIG: Final = 1


class ProcessGroup:
    """Several processes, started together. Create it in the main thread, since it handles signals from then on.

    Every line that they print comes out whole, marked with [0], [1] and so on.

    Args:
      command: the command that each process runs.
      environments: for each process, the variables added to the environment of this one.
      plain_first: let the standard output of the first process come out unmarked and on its own; what the others print
        there goes to standard error.
    """

    def __init__(self, command: Sequence[str], environments: Sequence[dict[str, str]], *,
                 plain_first: bool = False) -> None:
        self._ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._writing = threading.Lock()
        self._was_asked = False
        # Signals wait until there are processes to pass them on to.
        signal.pthread_sigmask(signal.SIG_BLOCK, COMMAND_SIGNALS)
        try:
            # All start before this process has further threads, since forking among threads can deadlock.
            self._processes = [_start(command, environment) for environment in environments]
            for number in COMMAND_SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # Ignored under nohup, for instance.
                    signal.signal(number, self.pass_on)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, COMMAND_SIGNALS)
        self._copying: list[threading.Thread] = []
        for i, process in enumerate(self._processes):
            mark = b"[%d] " % i
            self._copy(process.stdout, 2 if plain_first and i else 1, b"" if plain_first and not i else mark)
            self._copy(process.stderr, 2, mark)
            threading.Thread(target=self._await, args=(i,), daemon=True).start()

    def wait(self, grace: float) -> int:
        """Waits until all have ended. When one fails, the others get SIGTERM, and after `grace` seconds SIGKILL.

        Returns:
          The exit code of the first process that failed (128 + the number of the signal that killed it), or 0.
        """
        code, deadline, left = 0, float("inf"), len(self._processes)
        while left:
            try:
                i = self._ended.get(timeout=_timeout(deadline))
            except queue.Empty:
                self.send(signal.SIGKILL)
                deadline = float("inf")
                continue
            left -= 1
            ended = self._processes[i].returncode
            if ended and not code:
                code = ended if ended > 0 else 128 - ended
                self._write(2, f"[{i}] {_describe(ended)}{', so the others are ended' if left else ''}\n".encode())
                self.send(signal.SIGTERM)
                deadline = time.monotonic() + grace
        for thread in self._copying:
            thread.join()
        return code

    def pass_on(self, number: int, frame: FrameType | None = None) -> None:
        """Handles a signal: passes it on to all processes; a second Ctrl-C kills those that do not react."""
        del frame
        if all(process.returncode is not None for process in self._processes):
            os._exit(128 + number)  # All that is left is output that nothing reads.
        self.send(number)
        if self._was_asked and number == signal.SIGINT:
            killer = threading.Timer(_KILL_DELAY, self.send, [signal.SIGKILL])
            killer.daemon = True
            killer.start()
        self._was_asked = True

    def send(self, number: int) -> None:
        """Sends a signal to the running processes and to their children."""
        for process in self._processes:
            if process.returncode is None:
                _signal_group(process.pid, number)

    def _await(self, i: int) -> None:
        process = self._processes[i]
        process.wait()
        _signal_group(process.pid, signal.SIGKILL)  # Ends children that it left behind.
        self._ended.put(i)

    def _copy(self, source: IO[bytes] | None, target: int, mark: bytes) -> None:
        assert source is not None

        def copy() -> None:
            with source:
                for line in source:
                    self._write(target, mark + line + b"\n" * (bool(mark) and not line.endswith(b"\n")))

        self._copying.append(threading.Thread(target=copy, daemon=True))
        self._copying[-1].start()

    def _write(self, target: int, text: bytes) -> None:
        # The reader may be gone, as after `| head`; the processes must not stall because of that.
        with self._writing, contextlib.suppress(OSError):
            while text:
                text = text[os.write(target, text):]


def _start(command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Starts a process in its own session, so that it gets Ctrl-C once: passed on, not also from the terminal."""
    prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None
    parent = os.getpid()
    return subprocess.Popen(command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                            preexec_fn=lambda: _prepare(prctl, parent))


def _prepare(prctl: Callable[..., Any] | None, parent: int) -> None:
    """Runs in the new process: on Linux, has the kernel kill it when its parent dies, however that happens.

    A watching thread would not do, as no thread can run while TensorFlow holds the interpreter lock.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, COMMAND_SIGNALS)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # The parent died before the call.
            os.kill(os.getpid(), signal.SIGKILL)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _timeout(deadline: float) -> float | None:
    return None if deadline == float("inf") else max(0.0, deadline - time.monotonic())


def _describe(code: int) -> str:
    if code > 0:
        return f"ended with exit code {code}"
    names = {int(known): known.name for known in signal.Signals}
    return f"was killed by {names.get(-code, f'signal {-code}')}"
