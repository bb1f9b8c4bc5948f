"""What every command does around its work: one line and an exit code for bad input and signals, streams that may break.

`python -m reglab.<command>` is `run_process(main)`, and every `main` is `run_command` of what the command does.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TextIO, cast

from reglab import exit_codes
from reglab.console.stream import SafeStream
from reglab.exit_codes import Ending
from reglab.files import refusal
from reglab.listener import listen_for_good, listening
from reglab.signals import STARTS_AGAIN, EarlyStop, StopRequest
from reglab.texts import one_line

_LINGER: Final = 0.5  # seconds for the others to hear the last word of a worker that stops


def run_process(main: Callable[[list[str]], int]) -> NoReturn:
    """Runs `main` on the command line as all that this process does, and ends with its exit code.

    Python and TensorFlow take a second to clean up, which the end of the process does as well; so nothing follows the
    last of the functions that they registered for their exit. A worker of a cluster that others still need, or that
    needs them, takes leave of them as TensorFlow does.
    """
    for descriptor in range(3):  # Where one is closed, the next file that is opened would be written to by others.
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    request = listen_for_good()
    ended: list[int] = []
    atexit.register(_leave, ended)
    ended.append(main(sys.argv[1:]))
    request.end()
    if ended[0] == exit_codes.PEER_LOST:
        os._exit(ended[0])  # What TensorFlow does at its exit would wait for the lost worker.
    sys.exit(ended[0])


def _leave(ended: list[int]) -> None:
    if not ended:  # By an error, which Python is to show.
        return
    if "TF_CONFIG" in os.environ:
        if ended[0] != exit_codes.STOPPED:
            return
        time.sleep(_LINGER)
    os._exit(ended[0])


def run_command(command: Callable[[list[str]], int], argv: list[str]) -> int:
    """The exit code of `command(argv)`: what it returns, or that of the error that it ends by (see `exit_codes`).

    Stop signals are heard from here on (see `listener`). Standard output and error never raise: whoever read them may
    have left, and the work goes on.
    """
    with _safe_streams() as (out, err), _no_unraisable_stops(), listening() as request:
        code = _run(command, argv, request)
        out.flush()
        if out.failure is not None and code == exit_codes.SUCCESS:
            print(f"reglab: standard output cannot be written ({out.failure.strerror}): what was to stand there is "
                  "lost", file=sys.stderr)
            code = exit_codes.STORAGE_FAILED
        err.flush()
    return code


def _run(command: Callable[[list[str]], int], argv: list[str], request: StopRequest) -> int:
    try:
        with request.interruptible(EarlyStop, STARTS_AGAIN):
            return command(argv)
    except Ending as ending:
        print(f"reglab: {ending.line}", file=sys.stderr)
        return ending.exit_code
    except OSError as error:  # Whatever nobody has named before: still no traceback.
        print(f"reglab: {one_line(refusal(error.filename or 'a file', error))}", file=sys.stderr)
        return exit_codes.STORAGE_FAILED
    except KeyboardInterrupt:  # Where a thread calls a command, Ctrl-C is not for the command to handle.
        print("reglab: interrupted, nothing more was saved", file=sys.stderr)
        return exit_codes.INTERRUPTED


@contextlib.contextmanager
def _no_unraisable_stops() -> Iterator[None]:
    """A stop signal that comes where Python cannot raise, in a destructor say, shows nothing: `listener` ends all."""
    former = sys.unraisablehook
    sys.unraisablehook = lambda args: None if isinstance(args.exc_value, KeyboardInterrupt) else former(args)
    try:
        yield
    finally:
        sys.unraisablehook = former


class _Output(SafeStream):
    """A standard stream that never raises, and is like the real one in all else."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._real = stream

    @property
    def closed(self) -> bool:
        """Whether there is nothing to write to."""
        return self._real is None or self._real.closed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextlib.contextmanager
def _safe_streams() -> Iterator[tuple[SafeStream, SafeStream]]:
    out, err = real = sys.stdout, sys.stderr
    if isinstance(out, _Output) and isinstance(err, _Output):
        yield out, err
        return
    safe = _Output(out), _Output(err)
    sys.stdout, sys.stderr = cast(TextIO, safe[0]), cast(TextIO, safe[1])
    try:
        yield safe
    finally:
        sys.stdout, sys.stderr = real
