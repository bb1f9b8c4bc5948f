"""Writes TensorBoard's event files so that no error is lost, whether in the writing thread or on closing.

TensorBoard's own writer shows a traceback when a write in its thread fails, and a second error when it is then closed.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import pathlib
import queue
import socket
import threading
import time
from typing import Any, Final, Protocol

from tensorboard.compat.proto import event_pb2

from reglab.run.logs.records import framed
from reglab.storage.files import check_not_removed, write_atomically, writing

_FLUSH_SECONDS: Final = 10.0
_QUEUED: Final = 1000
_numbers: Final = itertools.count()


class EventSink(Protocol):
    """The interface of an event file; the file is at `path`."""

    path: pathlib.Path

    def add(self, event: event_pb2.Event) -> None:
        """Adds an event."""

    def flush(self) -> None:
        """Returns when all events so far are written."""

    def close(self) -> None:
        """Flushes and closes the file. Further calls have no effect."""


class EventFile:
    """A new event file that grows as a run goes on, written by its own thread.

    Args:
      suffix: the end of its name.

    Raises:
      StorageError: here and in every method: the file cannot be written or was removed. `close` raises it only if no
        other method has.
    """

    def __init__(self, directory: str | os.PathLike[str], suffix: str = "") -> None:
        directory = pathlib.Path(directory)
        # TensorBoard reads files in the order of their names, so the number has leading zeros.
        self.path = directory / (f"events.out.tfevents.{int(time.time()):010}.{socket.gethostname()}.{os.getpid()}."
                                 f"{next(_numbers):06}{suffix}")
        with writing(self.path):
            directory.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "xb")  # noqa: SIM115
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUED)
        self._failure: Exception | None = None
        self._is_told = False
        self._thread = threading.Thread(target=self._write_queued, name="events", daemon=True)
        self._thread.start()
        try:
            self.add(_version())
            self.flush()
        except BaseException:
            self.close()
            raise

    def add(self, event: event_pb2.Event) -> None:
        """Hands an event to the thread, waiting if that is far behind."""
        self._tell()
        self._queue.put(event.SerializeToString())

    def flush(self) -> None:
        """Returns when all events so far are on disk."""
        self._queue.join()
        self._tell()
        self._attempt(self._flush_file)
        self._tell()

    def close(self) -> None:
        """Flushes and closes the file, and ends the thread."""
        if self._file.closed:
            return
        self._queue.put(None)
        self._thread.join()
        self._attempt(self._file.close)
        with contextlib.suppress(OSError):
            self._file.close()
        if not self._is_told:
            self._tell()

    def _write_queued(self) -> None:
        due = time.monotonic() + _FLUSH_SECONDS
        while True:
            try:
                data = self._queue.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                self._attempt(self._file.flush)
                due = time.monotonic() + _FLUSH_SECONDS
                continue
            if data is not None:
                self._attempt(self._write, data)
            self._queue.task_done()
            if data is None:
                return

    def _write(self, data: bytes) -> None:
        self._file.write(framed(data))

    def _flush_file(self) -> None:
        self._file.flush()
        check_not_removed(self._file, self.path)

    def _attempt(self, action: Any, *arguments: Any) -> None:
        """Calls `action`, which works on the file, unless one failed before: so the first failure is reported."""
        if self._failure is None:
            try:
                with writing(self.path):
                    action(*arguments)
            except Exception as error:
                self._failure = error

    def _tell(self) -> None:
        if self._failure is not None:
            self._is_told = True
            raise self._failure


class WholeEventFile:
    """An event file with a fixed name that is written when it is closed, whole or not at all.

    A sweep has hundreds of them, which it can write again, so none is synced to disk.

    Raises:
      StorageError: in `close`: it cannot be written.
    """

    NAME: Final = "events.out.tfevents.0.reglab"

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(directory) / self.NAME
        self._content = io.BytesIO()
        self.add(_version())

    def add(self, event: event_pb2.Event) -> None:
        """Keeps an event in memory."""
        self._content.write(framed(event.SerializeToString()))

    def flush(self) -> None:
        """Does nothing: the file is written as a whole when it is closed."""

    def close(self) -> None:
        """Writes the file, whole or not at all."""
        if not self._content.closed:
            with self._content, writing(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(self.path, self._content.getvalue(), sync=False)


def _version() -> event_pb2.Event:
    """Returns the first event of a file."""
    return event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2")
