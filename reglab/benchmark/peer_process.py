"""A peer's process as the parent sees it: a command line in, a JSON line out, or an error that gives the reason."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import Any, Final

import reglab.benchmark
from reglab.signals.listener import heard_by_children
from reglab.signals.stop import command_request

# Several libraries hold the same GPU at the same time, so none may reserve all of its memory in advance.
ENVIRONMENT: Final = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
                      "TF_CPP_MIN_LOG_LEVEL": "2"}
_ROOT: Final = str(pathlib.Path(reglab.benchmark.__path__[0]).parents[1])


class PeerError(Exception):
    """A peer died, gave an invalid answer, or did not answer in time."""


class PeerProcess:
    """A running peer. Its stderr goes to a file, whose last line is quoted in errors."""

    def __init__(self, command: Sequence[str]) -> None:
        path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
        self._stderr = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed in `close`)
        with heard_by_children():
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True,
                env={**os.environ, **ENVIRONMENT, "PYTHONPATH": path})
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, command: str | None, timeout: float) -> dict[str, Any]:
        """Sends a command, unless it is None, and waits for the answer.

        Raises:
          PeerError: there is no valid answer.
        """
        if command is not None:
            with contextlib.suppress(BrokenPipeError):  # Waiting for the answer will show the reason.
                self._input.write(command + "\n")
                self._input.flush()
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise PeerError(f"no answer to {command or 'the start'} within {timeout:g} s") from None
        if not line:
            code = self._process.wait(timeout=10)
            raise PeerError(f"exit code {code}: {self._last_words()}")
        try:
            answer = json.loads(line)
        except ValueError:
            raise PeerError(f"not a JSON answer: {line.strip()[:200]}") from None
        if not isinstance(answer, dict):
            raise PeerError(f"not a JSON object: {line.strip()[:200]}")
        return answer

    def close(self, grace: float = 10.0) -> None:
        """Closes the peer's stdin, which ends it; kills it if it is still running after `grace` seconds."""
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        if command_request():  # A stop signal has come.
            grace = 0
        try:
            self._process.wait(timeout=grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    @property
    def _input(self) -> Any:
        return self._process.stdin

    def _read(self) -> None:
        """Runs in a thread, because not every system can read a pipe with a time limit."""
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put("")  # Marks the end.

    def _last_words(self) -> str:
        self._stderr.flush()
        self._stderr.seek(0)
        lines = [line.strip() for line in self._stderr.read().splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"
