"""An output stream that cannot stop a training run, and the measurement of its pace."""

from __future__ import annotations

import collections
import errno
import os
from collections.abc import Callable
from typing import Final, TextIO

_NOBODY_LISTENS: Final = (errno.EPIPE, errno.ECONNRESET, errno.EIO)  # EIO: the terminal is gone.


class SafeStream:
    """Writes to `stream` until that fails (the pipe's reader is gone, the disk is full), then discards everything.

    A character that the stream's encoding lacks is written as an escape.

    Attributes:
      failure: the error that ended it, or None; a reader that is gone or a closed terminal does not count as a failure.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether the stream is a terminal, so that a person is likely to be watching."""
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> int:
        """Writes `text` as far as possible; returns its length, as `TextIO.write` does."""
        encodable = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        self._attempt(lambda stream: stream.write(encodable))
        return len(text)

    def flush(self) -> None:
        """Flushes the stream, if it is still in use."""
        self._attempt(lambda stream: stream.flush())

    def _attempt(self, action: Callable[[TextIO], object]) -> None:
        if self._stream is None:
            return
        try:
            action(self._stream)
        except OSError as error:
            if error.errno is not None and error.errno not in _NOBODY_LISTENS:
                self.failure = error
            self._discard()
        except ValueError:  # The file is closed.
            self._stream = None

    def _discard(self) -> None:
        """Redirects the stream to /dev/null: Python's flush at exit would fail as well, with exit code 120."""
        stream, self._stream = self._stream, None
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno() if stream is not None else null)
            os.close(null)
        except (OSError, ValueError):
            pass  # It has no descriptor, so there is nothing to flush.


def printable(text: str) -> str:
    """Returns `text` with control characters (from a strange file name, say) escaped, except newlines."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


class Pace:
    """Steps per second over the recent past.

    Time before the end of the first call does not count, since that call also traced and compiled.
    """

    def __init__(self, clock: Callable[[], float], window: float = 20.0) -> None:
        self._clock = clock
        self._window = window
        self._seen: collections.deque[tuple[float, int]] = collections.deque()

    def update(self, step: int) -> None:
        """Records that `step` steps are done now."""
        now = self._clock()
        self._seen.append((now, step))
        while len(self._seen) > 2 and now - self._seen[0][0] > self._window:
            self._seen.popleft()

    @property
    def steps_per_second(self) -> float | None:
        """The current rate; None until two calls have ended."""
        if len(self._seen) < 2:
            return None
        (before, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - before) if now > before and last > first else None

    def seconds_left(self, total_steps: int) -> float | None:
        """Returns the seconds until `total_steps` at the current rate; None while there is no rate."""
        per_second = self.steps_per_second
        return None if per_second is None else max(total_steps - self._seen[-1][1], 0) / per_second
