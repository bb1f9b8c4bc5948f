"""Signals as a request to stop at the next safe point rather than in the middle of a step.

Inside a command there is a single request, active from its first line to the end of the process (`listener.py`). When
called from Python, as in a notebook, `stop_request` handles Ctrl-C and SIGTERM during a block and then restores the
previous handlers.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from types import FrameType
from typing import Final

from reglab.inputs import exit_codes

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
COMMAND_SIGNALS: Final = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""The signals that stop a command: schedulers send SIGUSR1 and SIGUSR2 before time is up, closing terminals SIGHUP."""


STARTS_AGAIN: Final = "the same command starts again"
"""What a user can do after an `EarlyStop`."""


class EarlyStop(exit_codes.Ending, KeyboardInterrupt):
    """A stop signal came before there was anything to save."""

    exit_code = exit_codes.STOPPED
    advice = STARTS_AGAIN

    def __init__(self, reason: str) -> None:
        super().__init__(f"stopped by {reason}, nothing yet to save")


class StopRequest:
    """Tells whether a stop signal has come, or the time limit is reached; true from then on.

    Attributes:
      signal: the first signal, or None.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._began, self._seconds = monotonic(), math.inf

    def __bool__(self) -> bool:
        return self.signal is not None or self._is_late

    @property
    def name(self) -> str:
        """The name of the signal, or --time_limit; if neither is here, another worker of the cluster is the reason."""
        if self.signal is not None:
            return self.signal.name
        if self._is_late:
            return "--time_limit"
        return "a signal to another worker" if math.isinf(self._seconds) else "another worker"

    def limit_time(self, seconds: float | None) -> None:
        """Stops too once so many seconds have passed since the request was made; None sets no limit.

        To be called where the work has got somewhere, so that the same command goes on however short its limit is.
        """
        self._seconds = math.inf if seconds is None else seconds

    @property
    def _is_late(self) -> bool:
        return monotonic() - self._began >= self._seconds

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """Handles a signal: notes the first; a second Ctrl-C interrupts at once, saved or not."""
        del frame
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or signal.Signals(number)

    def check(self) -> None:
        """Stops if a signal has come. Call it where nothing is lost by stopping.

        Raises:
          EarlyStop: a signal has come.
        """
        if self:
            raise EarlyStop(self.name)

    def hold(self) -> None:
        """From now on there is something to lose: the holder checks the request, and nothing is interrupted."""

    @contextlib.contextmanager
    def interruptible(self, error: Callable[[str], KeyboardInterrupt], advice: str) -> Iterator[None]:
        """A block that may be left at any point, because everything it makes can be made again.

        Args:
          error: makes the exception from the signal's name. It is raised if a signal has come before the block and,
            in a command, also when one comes during the block.
          advice: what the user can do then.
        """
        del advice
        if self:
            raise error(self.name)
        yield


_of_command: StopRequest | None = None
_of_block: StopRequest | None = None  # When called from Python: the request of the outermost `stop_request`.


def set_command_request(request: StopRequest | None) -> None:
    """Makes `request` the one that `stop_request` yields in every thread; None ends that."""
    global _of_command
    _of_command = request


def command_request() -> StopRequest | None:
    """The request of the command that runs in this process, or None."""
    return _of_command


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Yields the command's request, putting it on hold; when called from Python, a request active during the block.

    Nested blocks share the request. Afterwards the previous handlers are restored. When called from Python outside the
    main thread, where Python does not allow handling signals, the request is never set.
    """
    if _of_command is not None:
        _of_command.hold()
        yield _of_command
        return
    if threading.current_thread() is not threading.main_thread():
        yield StopRequest()
        return
    global _of_block
    if _of_block is not None:
        yield _of_block
        return
    _of_block = request = StopRequest()
    former = {number: signal.signal(number, request.receive) for number in heard(STOP_SIGNALS)}
    try:
        yield request
    finally:
        _of_block = None
        for number, handler in former.items():
            signal.signal(number, handler)


def heard(numbers: tuple[signal.Signals, ...]) -> list[signal.Signals]:
    """Filters out signals that were set to be ignored: `nohup` ignores SIGHUP, shells' background jobs SIGINT."""
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Delays stop signals that come in the block until after it, even if code in the block installs its own handlers.

    TensorFlow's servers do that for SIGTERM. Threads started inside the block never receive a stop signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in COMMAND_SIGNALS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, COMMAND_SIGNALS)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:  # None: not set from Python, so Python cannot restore it.
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
