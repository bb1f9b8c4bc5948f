"""Reads checkpoints back: whether they are whole, the state of a run, or only its weights."""

from __future__ import annotations

import contextlib
import pathlib
from typing import Any, Final

import tensorflow as tf

from reglab.config import ConfigError
from reglab.core.averaging import BUFFERS, PARAMETERS
from reglab.core.parameters import Weights
from reglab.core.step import State
from reglab.run.checkpoints.files import (
    NoLabel,
    NotOurs,
    check_label,
    check_ordinary,
    parse_best,
    saved_steps,
    write_label,
)
from reglab.storage.files import writing
from reglab.storage.reading import Unreadable, is_count, is_number, read_bytes

UNREADABLE: Final = (tf.errors.OpError, ValueError, LookupError, TypeError, RuntimeError, AssertionError, OSError)
"""What TensorFlow raises for checkpoints that are damaged or hold something else."""

COUNTERS: Final = "nonfinite"
"""The name of the counters of `nonfinite.Guard` among the variables of a saved state."""

_STEP: Final = "step/.ATTRIBUTES/VARIABLE_VALUE"


def is_evaluation(value: Any) -> bool:
    """Returns whether a value read from JSON can be the evaluation of a best state."""
    return (isinstance(value, dict) and is_count(value.get("step")) and is_count(value.get("epoch"))
            and is_number(value.get("data_loss")) and is_number(value.get("accuracy")))


def read_best(directory: pathlib.Path) -> dict[str, Any]:
    """Returns the evaluation in `best.json`: step, epoch, and data loss and accuracy of the validation split.

    Raises:
      Missing: there is none.
      Unreadable: it is damaged.
    """
    path = directory / "best.json"
    evaluation = parse_best(path)
    if not read_bytes(path).endswith(b"\n"):
        raise Unreadable("is damaged: its last byte is gone")
    if not is_evaluation(evaluation):
        raise Unreadable("does not tell the best step")
    return evaluation


def check_readable(directory: pathlib.Path, step: int) -> None:
    """Checks that TensorFlow can read the whole checkpoint and that it is of the step in its name.

    Raises:
      NotOurs: it is of another step.
      Unreadable: it is damaged.
    """
    check_ordinary(directory, step)
    try:
        reader = tf.train.load_checkpoint(str(directory / f"ckpt-{step}"))
        arrays = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
        found = int(arrays[_STEP])
    except UNREADABLE as error:
        raise Unreadable(first_line(error)) from None
    if found != step:
        raise NotOurs(f"it is a copy of ckpt-{found}")


def check_whole(directory: pathlib.Path, step: int, run: str | None) -> None:
    """Checks by its label that the checkpoint is the one that `run` wrote after `step` updates.

    Raises:
      NoLabel: it has no label, but TensorFlow can read it and it is of this step.
      NotOurs: it is of another step or run.
      Unreadable: it is damaged.
    """
    without_label = None
    if run is not None:
        try:
            check_label(directory, step, run)
            return
        except NoLabel as error:
            without_label = error
    check_readable(directory, step)
    if without_label is not None:
        raise without_label


def restore_state(directory: pathlib.Path, step: int, state: State, run: str | None, *, trusting: bool) -> None:
    """Reads a checkpoint into the variables of a state.

    Args:
      run: the run's id; if None, no label is required.
      trusting: whether to accept a checkpoint without a label, and label it.

    Raises:
      NoLabel, NotOurs, Unreadable or one of `UNREADABLE`: it is not the run's checkpoint of this step, or is damaged.
      StorageError: the label cannot be written.
    """
    without_label = False
    if run is not None:
        try:
            check_label(directory, step, run)
        except NoLabel:
            if not trusting:
                raise
            without_label = True
    _read(str(directory / f"ckpt-{step}"), state)
    if int(state["step"]) != step:
        raise NotOurs(f"it is a copy of ckpt-{int(state['step'])}")
    if without_label and run is not None:
        with writing(directory, tensorflow=False):  # A refusal here does not mean that the checkpoint is damaged.
            write_label(directory, step, run)


def _read(prefix: str, state: State) -> None:
    wanted: dict[str, Any] = {**state}
    if COUNTERS in wanted:
        saved = {name.split("/")[0] for name, _ in tf.train.list_variables(prefix)}
        if COUNTERS not in saved:  # Saved with --on_nonfinite=stop, so no update was left out.
            wanted.pop(COUNTERS).assign(tf.zeros([3], tf.int64))
    tf.train.Checkpoint(**wanted).read(prefix).assert_existing_objects_matched()


def read_weights(directory: pathlib.Path, weights: Weights, run: str | None = None, saved: int | None = None, *,
                 of_average: bool = False) -> int:
    """Reads the weights of the newest checkpoint in a folder into variables, and leaves the folder as it is.

    Args:
      run: the id of the run, if known.
      saved: the step that the newest checkpoint should have, if known.
      of_average: whether the weights wanted are the average that the run has kept.

    Returns:
      The step of the checkpoint.

    Raises:
      ConfigError: there is no checkpoint, it is damaged, or it is of another network, step or run.
    """
    steps = saved_steps(directory)
    if not steps:
        raise ConfigError(f"--model_dir: {directory} holds no checkpoint: give the other --state, or train the run "
                          "until it has saved one")
    prefix = directory / f"ckpt-{steps[-1]}"
    if saved is not None and steps[-1] < saved:
        raise ConfigError(f"--model_dir: {directory / f'ckpt-{saved}'}, the newest checkpoint, is missing: give the "
                          f"other --state, or go on with the run, which begins again at {prefix.name}")
    try:
        with contextlib.suppress(NoLabel):
            check_whole(directory, steps[-1], run)
        # Array by array: TensorFlow's own way logs a page of text if something does not fit.
        reader = tf.train.load_checkpoint(str(prefix))
        parts = {f"slots/{PARAMETERS}": weights.parameters, f"slots/{BUFFERS}": weights.buffers}
        for part, layers in (parts if of_average else weights._asdict()).items():
            for layer, arrays in layers.items():
                for name, variable in arrays.items():
                    variable.assign(reader.get_tensor(f"{part}/{layer}/{name}/.ATTRIBUTES/VARIABLE_VALUE"))
    except UNREADABLE as error:
        raise ConfigError(f"--model_dir: {prefix} cannot be read ({first_line(error)}): give the other --state, or "
                          "go on with the run, which passes damaged checkpoints over") from None
    return steps[-1]


def first_line(error: Exception) -> str:
    """Returns the beginning of an error's message, for one line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
