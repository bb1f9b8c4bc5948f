"""SIGINT and SIGTERM as a request to stop at the next safe point, not in the middle of a step."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether a stop signal has come.

    Attributes:
      signal: the first one, or None.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler: notes the first signal; the second Ctrl-C interrupts at once, saved or not."""
        del frame
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or signal.Signals(number)


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Handles the stop signals inside the block and puts the former handlers back after it.

    Outside the main thread, where Python lets nobody handle signals, the request never comes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    # What the parent ignores on our behalf stays ignored: `nohup` and shells' background jobs do so with SIGINT.
    heard = [number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    former = {number: signal.signal(number, request.receive) for number in heard}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
