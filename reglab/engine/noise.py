"""Holds back what TensorFlow's C++ code writes to stderr while it starts."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Final

# What TensorFlow's C++ code logs, in absl's format ("I0000 00:00:1795.6 51 file.cc:1]") and in that of older releases
# ("2026-01-31 12:00:00.0: I file.cc:1]"), and the two unmarked lines that go with it. Fatal messages are not matched.
_NOISE: Final = re.compile(
    rb"[IWE]\d{4} \d\d:\d\d:\S+ +\d+ \S+:\d+\] |"
    rb"\d{4}-\d\d-\d\d \S+: [IWE] \S+:\d+\] |"
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called |"
    rb"To enable the following instructions: ")


@contextlib.contextmanager
def captured_stderr() -> Iterator[None]:
    """Holds back file descriptor 2: log lines of TensorFlow's C++ code are dropped, anything else is shown at the end.

    If an exception is raised, everything is shown, in the original order. Python warnings and messages are not C++ log
    lines, so they are never lost. Does nothing if descriptor 2 is closed or a temporary file cannot be created.

    If the process dies inside the block (TensorFlow aborts on a processor it was not built for), the held output is
    lost; a Python traceback still shows where that happened.
    """
    with contextlib.ExitStack() as stack:
        held = _temporary_file()
        if held is None:
            yield
            return
        stack.enter_context(held)
        real = os.dup(2)
        stack.callback(os.close, real)
        if not faulthandler.is_enabled():
            faulthandler.enable(real)
            stack.callback(faulthandler.disable)
        _flush_stderr()
        os.dup2(held.fileno(), 2)
        failed = False
        try:
            yield
        except Exception:
            failed = True
            raise
        finally:
            _flush_stderr()
            os.dup2(real, 2)
            _replay(held, everything=failed)


def _temporary_file() -> IO[bytes] | None:
    try:
        os.fstat(2)  # If descriptor 2 were closed, the temporary file would become descriptor 2.
        return tempfile.TemporaryFile()
    except OSError:
        return None


def _replay(held: IO[bytes], everything: bool) -> None:
    held.seek(0)
    shown = b"".join(line for line in held if everything or not _NOISE.match(line))
    with contextlib.suppress(OSError):  # The reader of stderr may be gone.
        while shown:
            shown = shown[os.write(2, shown):]


def _flush_stderr() -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
