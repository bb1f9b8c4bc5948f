"""Signals as a request to stop at the next safe point, not in the middle of a step.

Inside a command there is one request for all, heard from its first line to the end of the process (`listener.py`).
From Python, in a notebook say, `stop_request` hears Ctrl-C and SIGTERM for the length of a block and leaves no trace.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

from reglab.inputs import exit_codes

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
COMMAND_SIGNALS: Final = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""What stops a command: schedulers send SIGUSR1 and SIGUSR2 before the time is over, a closing terminal SIGHUP."""


STARTS_AGAIN: Final = "the same command starts again"
"""What a user can do after an `EarlyStop`."""


class EarlyStop(exit_codes.Ending, KeyboardInterrupt):
    """A stop signal came before there was anything to save."""

    exit_code = exit_codes.STOPPED
    advice = STARTS_AGAIN

    def __init__(self, reason: str) -> None:
        super().__init__(f"stopped by {reason}, nothing yet to save")


class StopRequest:
    """Whether a stop signal has come.

    Attributes:
      signal: the first one, or None.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def name(self) -> str:
        """The signal's; of the others' where it came to another worker of the cluster."""
        return self.signal.name if self.signal is not None else "a signal to another worker"

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """The handler: notes the first signal; the second Ctrl-C interrupts at once, saved or not."""
        del frame
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or signal.Signals(number)

    def check(self) -> None:
        """Call it where nothing is lost by stopping.

        Raises:
          EarlyStop: a signal has come.
        """
        if self:
            raise EarlyStop(self.name)

    def hold(self) -> None:
        """From now on there is something to lose: who holds the request looks at it, and nothing is interrupted."""

    @contextlib.contextmanager
    def interruptible(self, error: Callable[[str], KeyboardInterrupt], advice: str) -> Iterator[None]:
        """A block that may be left anywhere, as all that it makes can be made again.

        Args:
          error: makes, of the signal's name, what is raised where one has come; in a command also where one comes.
          advice: what a user can do then.
        """
        del advice
        if self:
            raise error(self.name)
        yield


_of_command: StopRequest | None = None
_of_block: StopRequest | None = None  # From Python: that of the outermost `stop_request`.


def set_command_request(request: StopRequest | None) -> None:
    """Makes `request` the one that `stop_request` gives, in every thread, until it is None again."""
    global _of_command
    _of_command = request


def command_request() -> StopRequest | None:
    """The request of the command that runs in this process, if one does."""
    return _of_command


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """The command's request, which is on hold from now on. From Python: one that handles the signals in the block.

    Blocks inside it share it. The former handlers come back after the block. Outside the main thread, where Python
    lets nobody handle signals, the request of a call from Python never comes.
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
    """Those that are not ignored on our behalf: `nohup` does so with SIGHUP, shells' background jobs with SIGINT."""
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Stop signals that come inside the block are answered after it, even where it takes the handlers for itself.

    TensorFlow's servers do so with SIGTERM. Threads that are started inside never hear a stop signal.
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
            if handler is not None:  # None: set by no Python code, so nothing that Python could put back.
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
