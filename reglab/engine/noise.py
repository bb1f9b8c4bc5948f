"""What TensorFlow's C++ writes to stderr, held back while it starts."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Final

# What TensorFlow's C++ logs, in the formats of absl ("I0000 00:00:1795.6 51 file.cc:1]") and of older releases
# ("2026-01-31 12:00:00.0: I file.cc:1]"), and the two unmarked lines that go with it. Fatal lines stay.
_NOISE: Final = re.compile(
    rb"[IWE]\d{4} \d\d:\d\d:\S+ +\d+ \S+:\d+\] |"
    rb"\d{4}-\d\d-\d\d \S+: [IWE] \S+:\d+\] |"
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called |"
    rb"To enable the following instructions: ")


@contextlib.contextmanager
def captured_stderr() -> Iterator[None]:
    """Holds file descriptor 2 back: what TensorFlow's C++ logs to it is dropped, anything else shows at the end.

    After an exception all of it shows, in the order it came. Python warnings and messages are no C++ logs, so they are
    never lost. Does nothing where descriptor 2 is closed or there is no room for a temporary file.

    Should the process die inside (TensorFlow aborts on a processor it was not built for), what was held is lost; a
    Python traceback still shows where.
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
        os.fstat(2)  # if descriptor 2 is closed, the file would become it
        return tempfile.TemporaryFile()
    except OSError:
        return None


def _replay(held: IO[bytes], everything: bool) -> None:
    held.seek(0)
    shown = b"".join(line for line in held if everything or not _NOISE.match(line))
    with contextlib.suppress(OSError):  # nobody reads stderr any more
        while shown:
            shown = shown[os.write(2, shown):]


def _flush_stderr() -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
