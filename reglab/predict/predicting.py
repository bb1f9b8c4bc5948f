"""`predict` and `predict_file`: classes and probabilities of inputs, by the network of a run."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.config.checks import one_of
from reglab.predict.files import check_output, open_inputs
from reglab.predict.formats import FORMATS, Part, Shape
from reglab.signals.stop import stop_request
from reglab.storage.files import write_atomically, writing
from reglab.storage.ownership import owning
from reglab.trained.inputs import as_trained, check_inputs
from reglab.trained.network import Network, read_network
from reglab.trained.scores import log_probabilities
from reglab.trained.source import STATES, Source, read_source, run_folder, usable_place

BATCH: Final = 1000


class Predictions(NamedTuple):
    """The most probable class of each example, [n], and [n, classes] probabilities in the run's precision.

    The classes are the labels as the run's data have them: texts, truth values or whole numbers; int32 if those were
    0 … classes-1. The columns of the probabilities are in the sorted order of the labels, `class_names` in `data.json`.
    """

    classes: npt.NDArray[Any]
    probabilities: npt.NDArray[Any]

    def __repr__(self) -> str:
        examples, classes = self.probabilities.shape
        return f"<Predictions of {examples:,} examples: .classes, and .probabilities of {classes:,} classes>"


@dataclasses.dataclass(frozen=True, repr=False)
class Predicted:
    """The outcome of `predict_file`.

    Attributes:
      result: JSON values: the run, its state and step, the files, the number of examples and of each class.
    """

    result: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Predictions of {self.result['examples']:,} examples in {self.result['output']}>"


def predict(model_dir: str | os.PathLike[str], x: npt.ArrayLike, *, state: str = "best") -> Predictions:
    """Predicts the classes of inputs and their probabilities, the softmax of the logits of a run's network.

    Args:
      model_dir: the folder of the run.
      x: [n, *input_shape] or [n, features], in the type and the units of the run's data: pixels of images as uint8.
      state: `best`, the state of lowest validation data loss, or `last`.

    Raises:
      ConfigError: the run cannot be read, or does not take inputs like these.
    """
    one_of(*STATES)("state", state)
    folder = run_folder(model_dir)
    source, inputs = read_source(folder), np.asarray(x)
    check_inputs("x", inputs.shape, inputs.dtype, source)
    return predictions(inputs, read_network(folder, state), source)


def predictions(x: npt.NDArray[Any], network: Network, source: Source) -> Predictions:
    """Does what `predict` does, with a network at hand.

    Raises:
      ConfigError: the network does not take inputs like these.
    """
    check_inputs("x", x.shape, x.dtype, source)
    parts = list(_parts("x", x, network, source))
    nothing = Part(np.empty(0, np.int32), np.empty([0, source.classes], np.float32))
    classes, probabilities = (np.concatenate(arrays) for arrays in zip(*(parts or [nothing]), strict=True))
    labels = _labels(source)
    return Predictions(classes if labels is None else labels[classes], probabilities)


def predict_file(model_dir: str | os.PathLike[str], input: str | os.PathLike[str], output: str | os.PathLike[str], *,
                 state: str = "best", overwrite: bool = False) -> Predicted:
    """Does what `predict` does, from file to file, of any size: a thousand examples are in memory at a time.

    Args:
      input: a .npy file, or a .csv or .parquet table, which has to fit into memory.
      output: `*.npz`, `*.npy`, `*.csv` or `*.json`; written whole or not at all.
      overwrite: whether `output` may replace an existing file.

    Raises:
      ConfigError: the run or the input cannot be used, or `output` may not be written.
      StorageError: the file system refused while work was in progress; nothing is left.
    """
    one_of(*STATES)("state", state)
    folder, place = run_folder(model_dir), usable_place("output", output)
    source = read_source(folder)
    x, left_out = open_inputs(input, source)
    with owning(place.parent, flag="--output", file=place.name), writing(place, tensorflow=False), \
            stop_request() as stop:
        check_output(place, folder, overwrite=overwrite, read=pathlib.Path(input))
        network, counts = read_network(folder, state), np.zeros(source.classes, np.int64)

        def parts() -> Iterator[Part]:
            for part in _parts(f"--input={os.fspath(input)}: x", x, network, source):
                stop.check()
                counts[:] += np.bincount(part.classes, minlength=source.classes)
                yield part

        shape = Shape(len(x), source.classes, np.dtype(network.dtype.as_numpy_dtype), _labels(source))
        write_atomically(place, lambda file: FORMATS[place.suffix](file, parts(), shape), overwrite=overwrite)
    return Predicted({"run": str(folder), "state": state, "step": network.step, "input": os.fspath(input),
                      "output": str(place), "examples": len(x), "predicted": counts.tolist(),
                      **({} if source.class_names is None else {"class_names": list(source.class_names)}),
                      **({"left_out": list(left_out)} if left_out else {})})


def _labels(source: Source) -> npt.NDArray[Any] | None:
    return None if source.class_names is None else np.array(source.class_names)


def _parts(where: str, x: npt.NDArray[Any], network: Network, source: Source) -> Iterator[Part]:
    for first in range(0, len(x), BATCH):
        logits = network.logits(as_trained(where, np.asarray(x[first:first + BATCH]), source, first))
        if not np.isfinite(logits).all():
            raise ConfigError(f"{where}: the network of the run gives logits that are not finite for some of the "
                              f"examples from {first} on: give another --state, or inputs like those of its data")
        probabilities = np.exp(log_probabilities(logits)).astype(logits.dtype)
        yield Part(logits.argmax(axis=1).astype(np.int32), probabilities)
