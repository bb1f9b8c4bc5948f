"""`--profile`: what the machine does during some steps, by TensorFlow's profiler, as files of other tools.

    profile/plugins/profile/<time>/<host>.xplane.pb     for TensorBoard's profile tab and xprof
    profile/trace.json.gz                               for ui.perfetto.dev and chrome://tracing
"""

from __future__ import annotations

import contextlib
import gzip
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from reglab.config import Config
from reglab.run.restart import PROFILE
from reglab.storage.files import write_atomically, writing


class Profiling:
    """Profiles the steps that `Config.profile` asks for, if the run takes them all in this process.

    Args:
      folder: the folder of the run, or None where this process writes nothing, and so profiles nothing.
    """

    def __init__(self, config: Config, folder: str | None) -> None:
        first, count = profiled_steps(config.profile) if config.profile and folder else (0, 0)
        self._first, self._end = first, first + count
        self._folder = pathlib.Path(folder or "") / PROFILE
        self._is_on = False

    def problems(self, step: int, total_steps: int) -> list[str]:
        """Returns a warning if a run that goes on after `step` does not take the first of the steps."""
        if self._first < self._end and not step <= self._first < total_steps:
            there = f"there are {total_steps:,} steps" if step <= self._first else f"it goes on after step {step:,}"
            return [f"--profile={self._first}:{self._end - self._first}: nothing is traced, as {there}"]
        return []

    def steps_to_edge(self, step: int) -> list[int]:
        """Returns how many steps after `step` the profile begins, and ends, if it does so after that."""
        return [edge - step for edge in (self._first, self._end) if edge > step]

    def begin(self, step: int) -> None:
        """To be called before each call of steps, of which `step` is the first."""
        if step == self._first < self._end and not self._is_on:
            with writing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                tf.profiler.experimental.start(str(self._folder))
            self._is_on = True

    def end(self, step: int) -> list[str]:
        """To be called after each call, when `step` steps are taken; returns lines on how to view what was written."""
        if not self._is_on or step < self._end:
            return []
        self.close()
        with writing(self._folder):
            newest = max(self._folder.glob("plugins/profile/*/*.xplane.pb"), default=None)
            if newest is not None:
                write_atomically(self._folder / "trace.json.gz", gzip.compress(trace_of(newest.read_bytes())))
        return [f"Profile of steps {self._first:,} to {self._end - 1:,} in {self._folder}: open trace.json.gz at "
                f"https://ui.perfetto.dev; or pip install xprof, then xprof --logdir={self._folder} or TensorBoard's "
                "profile tab"]

    def close(self) -> None:
        """Ends a profile that has begun, whether or not all of its steps were taken."""
        if self._is_on:
            self._is_on = False
            with contextlib.suppress(tf.errors.OpError):
                tf.profiler.experimental.stop()


def profiled_steps(text: str) -> tuple[int, int]:
    """Returns the first step and the number of steps of a checked `Config.profile`."""
    first, _, count = text.partition(":")
    return int(first), int(count)


def trace_of(xspace: bytes) -> bytes:
    """Converts a serialized XSpace, as TensorFlow's profiler writes it, to JSON in Chrome's trace event format."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    planes = xplane_pb2.XSpace.FromString(xspace).planes
    events = [event for number, plane in enumerate(planes, 1) if plane.lines for event in _events(plane, number)]
    return json.dumps({"displayTimeUnit": "ms", "traceEvents": events}, separators=(",", ":")).encode()


def _events(plane: Any, process: int) -> Iterator[dict[str, Any]]:
    """Yields the names of a plane (a device, or the host) and of its lines (threads, streams), and their events."""
    yield {"ph": "M", "pid": process, "name": "process_name", "args": {"name": plane.name}}
    for number, line in enumerate(plane.lines, 1):  # Their own numbers have more digits than JavaScript's.
        at = {"pid": process, "tid": number}
        yield {"ph": "M", **at, "name": "thread_name", "args": {"name": line.display_name or line.name}}
        for event in line.events:
            about = plane.event_metadata[event.metadata_id]
            yield {"ph": "X", **at, "name": about.display_name or about.name,
                   "ts": line.timestamp_ns / 1e3 + event.offset_ps / 1e6, "dur": event.duration_ps / 1e6}
