"""Writes the TensorBoard event files and `metrics.jsonl` of a run.

Event files are written with TensorBoard's own protocol buffers by a separate thread, all scalars of a step as one
record: `tf.summary.scalar` takes 0.2 ms per scalar, which would be a quarter of the training time of a small network.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import summary_v2 as hparams_v2
from tensorboard.plugins.scalar import metadata as scalar_metadata

from reglab.core import penalties
from reglab.run.logs.event_file import EventFile, EventSink
from reglab.run.logs.pages import columns, custom_scalars, picture, text
from reglab.storage.files import check_not_removed, writing
from reglab.storage.json_values import strict_json


class RunWriter:
    """Writes to an event file of one TensorBoard run, which is a directory.

    Args:
      sink: the file; by default a new one in the directory that grows.

    Raises:
      StorageError: here and in every method: the file cannot be written.
    """

    def __init__(self, directory: str | os.PathLike[str], sink: EventSink | None = None) -> None:
        self._sink = sink or EventFile(directory)
        self._described: set[str] = set()

    def scalars(self, step: int, values: Mapping[str, float], wall_time: float) -> None:
        """Writes one point of each tag at `step`, in float32; `wall_time` is in seconds since 1970."""
        self._write(step, scalar_values(values, self._described), wall_time)

    def histograms(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes the distribution of each array's entries at `step`."""
        from tensorboard.plugins.histogram.summary import histogram_pb
        self._write(step, [value for tag, array in arrays.items()
                           for value in _values(histogram_pb(tag, np.asarray(array, np.float64).ravel()))], time.time())

    def describe(self, hyperparameters: Mapping[str, Any], name: str | None = None, *,
                 varied: Collection[str] | None = None, batches: bool = True) -> None:
        """Writes, once per run, the custom-scalars layout and the columns and values of the HParams page.

        Args:
          name: the run's name on that page; by default a hash of the hyper-parameters.
          varied: the hyper-parameters that come first on that page because they differ from run to run.
          batches: whether single training batches are measured.
        """
        names = [name for name in penalties.names() if name in hyperparameters]
        zeros = bool(hyperparameters.get("proximal"))
        for summary in (custom_scalars(names, batches, zeros), columns(hyperparameters, varied, zeros),
                        hparams_v2.hparams_pb(dict(hyperparameters), trial_id=name)):
            self._write(0, _values(summary), time.time())

    def texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Writes Markdown for the Text page, by tag."""
        self._write(step, [text(tag, markdown) for tag, markdown in texts.items()], time.time())

    def pictures(self, step: int, pngs: Mapping[str, bytes]) -> None:
        """Writes PNG files for the Images page, by tag."""
        self._write(step, [picture(tag, png) for tag, png in pngs.items()], time.time())

    def flush(self) -> None:
        """Returns when everything written so far is on disk."""
        self._sink.flush()

    def close(self) -> None:
        """Flushes and closes the file."""
        self._sink.close()

    def _write(self, step: int, values: list[summary_pb2.Summary.Value], wall_time: float) -> None:
        self._sink.add(event_pb2.Event(wall_time=wall_time, step=step, summary=summary_pb2.Summary(value=values)))


def scalar_values(values: Mapping[str, float], described: set[str]) -> list[summary_pb2.Summary.Value]:
    """Makes one point of each tag for an event file.

    Args:
      described: the tags that the file already describes, which TensorBoard needs once per file; new ones are added.
    """
    points = []
    for tag, number in values.items():
        value = summary_pb2.Summary.Value(tag=tag)
        value.tensor.dtype = 1  # DT_FLOAT
        value.tensor.float_val.append(number)
        value.tensor.tensor_shape.SetInParent()
        if tag not in described:
            value.metadata.CopyFrom(scalar_metadata.create_summary_metadata(display_name=None, description=None))
            described.add(tag)
        points.append(value)
    return points


class MetricsFile:
    """`metrics.jsonl`: one JSON object per line, {"step": …, "split": …, tag: number}; null if not finite.

    Raises:
      StorageError: here and in every method: the file cannot be written or was removed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        with writing(path):
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Appends one line."""
        with writing(self._path):
            self._file.write(metrics_line(step, split, values))

    def flush(self) -> None:
        """Hands all lines to the operating system."""
        with writing(self._path):
            self._file.flush()
            check_not_removed(self._file, self._path)

    def close(self) -> None:
        """Closes the file."""
        with writing(self._path):
            self._file.close()


def metrics_line(step: int, split: str, values: Mapping[str, float]) -> str:
    """Returns one line of `metrics.jsonl`, with its newline."""
    return strict_json({"step": step, "split": split, **values}) + "\n"


def _values(summary: Any) -> list[summary_pb2.Summary.Value]:
    """Returns the values of a plugin's summary; the bytes of TensorFlow's and TensorBoard's messages are the same."""
    return list(summary_pb2.Summary.FromString(summary.SerializeToString()).value)
