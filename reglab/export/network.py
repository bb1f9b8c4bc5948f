"""The network of a run, read from its folder; needs neither its data nor the rest of its state."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from typing import Any, Final

import numpy as np
import tensorflow as tf

from reglab.assembly import make_model
from reglab.checkpoint_files import labelled_run
from reglab.checkpoint_reading import read_parameters
from reglab.config import Config, ConfigError
from reglab.config.checks import one_of
from reglab.export.source import object_in, read_source
from reglab.models import Model
from reglab.parameters import Parameters, map_arrays
from reglab.reading import Unreadable
from reglab.run_file import read_run_file

STATES: Final = ("best", "last")


@dataclasses.dataclass(frozen=True)
class Network:
    """A trained network.

    Attributes:
      config: that of its run. Matrix products in bfloat16 become float32: who uses the network chooses anew.
      model: the network as a function.
      parameters: its weights.
      input_shape: the shape of one example as the data have it, such as (28, 28).
      divisor: the network's input is x / divisor.
      classes: the number of logits.
      step: the updates it has behind it.
      validation: data loss and accuracy of the validation split, where the run noted them for this step.
    """

    config: Config
    model: Model
    parameters: Parameters
    input_shape: tuple[int, ...]
    divisor: float
    classes: int
    step: int
    validation: dict[str, float] | None

    def logits(self, x: np.ndarray) -> np.ndarray:
        """[batch, classes] logits of `x` [batch, *input_shape], which is in the data's units, before the division."""
        dtype = self.parameters["logits"]["kernel"].dtype
        flat = tf.reshape(tf.cast(x, dtype), [len(x), math.prod(self.input_shape)])
        return self.model.apply(self.parameters, flat / tf.constant(self.divisor, dtype)).numpy()


def read_network(model_dir: pathlib.Path, state: str) -> Network:
    """The network of a run.

    Args:
      state: `best`, the state of lowest validation data loss, or `last`, that of the newest checkpoint.

    Raises:
      ConfigError: the folder holds no run, or none that can be read.
    """
    one_of(*STATES)("state", state)
    config, shape, divisor, classes = read_source(model_dir)
    model = make_model(config, math.prod(shape), classes)
    try:
        parameters = map_arrays(tf.Variable, model.initialize(config.seed))
    except tf.errors.ResourceExhaustedError:
        raise ConfigError(f"--model_dir={model_dir}: the network is more than memory") from None
    checkpoints = model_dir / "checkpoints"
    step = read_parameters(checkpoints / "best" if state == "best" else checkpoints, parameters, _run_id(model_dir))
    return Network(config, model, parameters, shape, divisor, classes, step, _validation(model_dir, step))


def _run_id(model_dir: pathlib.Path) -> str | None:
    """The id that the run's checkpoints are labelled with; None for a run of an older reglab."""
    try:
        return read_run_file(model_dir).run
    except Unreadable:
        return labelled_run(model_dir / "checkpoints")


def _validation(model_dir: pathlib.Path, step: int) -> dict[str, float] | None:
    """What the run wrote of its validation split at this step: of the best state, or at the end."""
    best, result = object_in(model_dir / "checkpoints" / "best" / "best.json"), object_in(model_dir / "result.json")
    noted: Any = next((of for at, of in ((best.get("step"), best), (result.get("steps"), result.get("validation")))
                      if at == step), None)
    try:
        return {name: float(noted[name]) for name in ("data", "accuracy")}
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
