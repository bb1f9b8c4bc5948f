"""An output stream that cannot stop a training run, and a clock for its pace."""

from __future__ import annotations

import collections
import errno
import os
from collections.abc import Callable
from typing import Final, TextIO

_NOBODY_LISTENS: Final = (errno.EPIPE, errno.ECONNRESET, errno.EIO)  # EIO: of a terminal that is gone


class SafeStream:
    """Writes to `stream` until that fails (the pipe's reader left, the disk is full), and from then on nowhere.

    A character that the stream's encoding lacks is written as an escape.

    Attributes:
      failure: what ended it; a reader who left or a terminal that was closed is no failure.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether a person is likely to watch."""
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> int:
        """Writes what can be written; as `TextIO.write`."""
        encodable = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        self._attempt(lambda stream: stream.write(encodable))
        return len(text)

    def flush(self) -> None:
        """Flushes, if there still is anything to flush to."""
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
        except ValueError:  # the file is closed
            self._stream = None

    def _discard(self) -> None:
        """Points the stream at nowhere: Python flushes it again at exit, and would fail again, with code 120."""
        stream, self._stream = self._stream, None
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno() if stream is not None else null)
            os.close(null)
        except (OSError, ValueError):
            pass  # no descriptor behind it, so nothing to flush


def printable(text: str) -> str:
    """`text` with control characters, say from a strange file name, as escapes; lines stay."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


class Pace:
    """Steps a second over the recent past.

    What came before the first call ended does not count: that call also traced and compiled.
    """

    def __init__(self, clock: Callable[[], float], window: float = 20.0) -> None:
        self._clock = clock
        self._window = window
        self._seen: collections.deque[tuple[float, int]] = collections.deque()

    def update(self, step: int) -> None:
        """`step` steps are done now."""
        now = self._clock()
        self._seen.append((now, step))
        while len(self._seen) > 2 and now - self._seen[0][0] > self._window:
            self._seen.popleft()

    @property
    def steps_per_second(self) -> float | None:
        """None until two calls have ended."""
        if len(self._seen) < 2:
            return None
        (before, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - before) if now > before and last > first else None

    def seconds_left(self, total_steps: int) -> float | None:
        """How long `total_steps` will still take at this pace; None while there is none."""
        per_second = self.steps_per_second
        return None if per_second is None else max(total_steps - self._seen[-1][1], 0) / per_second
