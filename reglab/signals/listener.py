"""Stop signals of a command, received by a separate thread from the command's first line until the process ends.

The signals are blocked in the main thread and so in every thread that it or TensorFlow starts later; one thread, which
does nothing else, receives them with `sigwait`. So no library's handler swallows a signal, a second Ctrl-C is answered
even while compiled code runs, and no signal interrupts Python or TensorFlow as they shut down. There are two states:

- At first there is nothing to lose: a signal raises `EarlyStop` in the main thread, wherever that is. If the exception
  has no effect (an import catches everything, a library does not react), the process is ended `GRACE` seconds later.
- Once the request is on hold (`signals.stop_request`), a signal is only noted, and checked where everything can be
  saved. Work that can be redone, such as a picture, may still be interrupted (`StopRequest.interruptible`).
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, NoReturn

from reglab.inputs import exit_codes
from reglab.signals.stop import (
    COMMAND_SIGNALS,
    STARTS_AGAIN,
    StopRequest,
    command_request,
    heard,
    set_command_request,
)

GRACE: Final = 3.0
"""Seconds that the main thread has to end on its own while there is nothing to save."""

_SHOW_CURSOR: Final = "\x1b[?25h"


class CommandRequest(StopRequest):
    """The stop request of a command.

    Args:
      numbers: the signals to listen for. They must be blocked in all threads that matter.
    """

    def __init__(self, numbers: list[signal.Signals]) -> None:
        super().__init__()
        self._numbers = numbers
        self._raised = self._over = self._closed = False
        self._error: Callable[[str], KeyboardInterrupt] | None = None  # What a signal raises; None while on hold.
        self._advice = STARTS_AGAIN
        self._relayed: set[int] = set()
        self._stderr = _copy_of_stderr()  # A copy, because descriptor 2 may be held back (`startup.captured_stderr`).
        self._timer: threading.Timer | None = None
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)

    def start(self) -> None:
        """Starts listening."""
        for number in self._numbers:
            signal.signal(number, self._handle)
        if self._numbers:
            self._thread.start()

    def close(self) -> None:
        """Stops listening."""
        self.hold()
        if self._numbers:
            self._closed = True
            signal.pthread_kill(self._thread.ident or 0, self._numbers[0])
            self._thread.join()
        if self._stderr is not None:
            os.close(self._stderr)

    def end(self) -> None:
        """Makes signals have no further effect, because the exit code is known."""
        self._over = True
        self.hold()

    def hold(self) -> None:
        """Makes signals only be noted from now on: nothing is raised, and no timer ends the process."""
        self._error = None
        if self._timer is not None:
            self._timer.cancel()

    @contextlib.contextmanager
    def interruptible(self, error: Callable[[str], KeyboardInterrupt], advice: str) -> Iterator[None]:
        """In the block, a signal raises `error` at once; after it, or once on hold, signals are only noted."""
        try:
            self._error, self._advice = error, advice
            if self:
                raise error(self.name)
            yield
        except Exception:
            if self._raised:  # An interrupted compiled module may have replaced the exception by one of its own.
                raise error(self.name) from None
            raise
        finally:
            self.hold()

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """Notes the first signal; a second Ctrl-C ends the process at once, saved or not."""
        del frame
        if self._over:
            return
        if self.signal is None:
            self.signal = signal.Signals(number)
            if self._error is not None:
                self._timer = threading.Timer(GRACE, self._give_up)
                self._timer.daemon = True
                self._timer.start()
        elif number == signal.SIGINT:
            self._end("stopped at once by a second SIGINT: what was not yet saved is lost", exit_codes.INTERRUPTED)

    def _listen(self) -> None:
        while True:
            number = signal.Signals(signal.sigwait(self._numbers))
            if self._closed:
                return
            self.receive(number)
            self._relayed.add(number)
            _thread.interrupt_main(number)  # Runs `_handle` in the main thread.

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Runs in the main thread, after `receive`, or before it if a thread older than the command got the signal."""
        del frame
        if number not in self._relayed:
            self.receive(number)
        self._relayed.discard(number)
        if self._error is not None and not self._raised:
            self._raised = True
            raise self._error(self.name)

    def _give_up(self) -> None:
        if (error := self._error) is not None:
            self._end(f"{error(self.name)}; {self._advice}", exit_codes.STOPPED)

    def _end(self, text: str, code: int) -> NoReturn:
        if self._stderr is not None:
            with contextlib.suppress(OSError):
                show = _SHOW_CURSOR if os.isatty(self._stderr) and os.environ.get("TERM") != "dumb" else ""
                os.write(self._stderr, f"{show}reglab: {text}\n".encode())
        os._exit(code)


def listen_for_good() -> CommandRequest:
    """Listens from now until the process is gone, so that a signal while it ends changes nothing.

    To be called once, in the main thread.
    """
    return _start(list(heard(COMMAND_SIGNALS)))


@contextlib.contextmanager
def listening() -> Iterator[StopRequest]:
    """Listens for signals during the block and yields the command's request, which at first is on hold.

    Yields an existing request, if any; outside the main thread, where no signals arrive, one that is never set.
    """
    running = command_request()
    if running is not None or threading.current_thread() is not threading.main_thread():
        yield StopRequest() if running is None else running
        return
    former = {number: signal.getsignal(number) for number in heard(COMMAND_SIGNALS)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    request = _start(list(former))
    try:
        yield request
    finally:
        set_command_request(None)
        request.close()
        for number, handler in former.items():
            if handler is not None:  # None: not set from Python, so Python cannot restore it.
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _start(numbers: list[signal.Signals]) -> CommandRequest:
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    request = CommandRequest(numbers)
    request.start()
    set_command_request(request)
    return request


@contextlib.contextmanager
def heard_by_children() -> Iterator[None]:
    """Processes started inside the block receive stop signals, which they would otherwise inherit as blocked."""
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, COMMAND_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _copy_of_stderr() -> int | None:
    try:
        return os.dup(2)
    except OSError:
        return None
