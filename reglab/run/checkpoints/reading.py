"""Checkpoints read back: whether they are whole, and the weights alone."""

from __future__ import annotations

import contextlib
import pathlib
from typing import Any, Final

import tensorflow as tf

from reglab.config import ConfigError
from reglab.core.parameters import Weights
from reglab.run.checkpoints.files import NoLabel, NotOurs, check_label, check_ordinary, saved_steps
from reglab.storage.reading import Unreadable, is_count, is_number

UNREADABLE: Final = (tf.errors.OpError, ValueError, LookupError, TypeError, RuntimeError, AssertionError, OSError)
"""What TensorFlow raises for checkpoints that are damaged or hold something else."""

_STEP: Final = "step/.ATTRIBUTES/VARIABLE_VALUE"


def is_evaluation(value: Any) -> bool:
    """Whether a value read from JSON can be the evaluation of a best state."""
    return (isinstance(value, dict) and is_count(value.get("step")) and is_count(value.get("epoch"))
            and is_number(value.get("data_loss")) and is_number(value.get("accuracy")))


def check_readable(directory: pathlib.Path, step: int) -> None:
    """Passes where TensorFlow reads the whole checkpoint, and it is of the step that its name tells.

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
    """Passes where the checkpoint is that of `run` after `step` updates, by its label.

    Raises:
      NoLabel: it has none, but TensorFlow reads it and it is of this step.
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


def read_weights(directory: pathlib.Path, weights: Weights, run: str | None = None) -> int:
    """Reads the weights of the newest checkpoint in a folder into variables, and leaves the folder as it is.

    Args:
      run: the id of the run, where it is known.

    Returns:
      The step of the checkpoint.

    Raises:
      ConfigError: there is none, it is damaged, or it is of another network, step or run.
    """
    steps = saved_steps(directory)
    if not steps:
        raise ConfigError(f"--model_dir: {directory} holds no checkpoint: give the other --state, or train the run "
                          "until it has saved one")
    prefix = directory / f"ckpt-{steps[-1]}"
    try:
        with contextlib.suppress(NoLabel):
            check_whole(directory, steps[-1], run)
        # The rest of the state is in the file, but not wanted.
        wanted = {name: arrays for name, arrays in weights._asdict().items() if arrays}
        tf.train.Checkpoint(**wanted).read(str(prefix)).expect_partial().assert_existing_objects_matched()
    except UNREADABLE as error:
        raise ConfigError(f"--model_dir: {prefix} cannot be read ({first_line(error)}): give the other --state, or "
                          "go on with the run, which passes damaged checkpoints over") from None
    return steps[-1]


def first_line(error: Exception) -> str:
    """The beginning of what an error says, for one line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
