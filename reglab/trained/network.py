"""The network of a run, read from its folder; needs neither its data nor the rest of its state."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from reglab.config import Config, ConfigError
from reglab.config.checks import one_of
from reglab.config.selection import make_model
from reglab.core.models import EVALUATION, Model
from reglab.core.parameters import Parameters, Weights, map_arrays
from reglab.data.labels import ClassName
from reglab.data.standardization import Standardization
from reglab.engine.sources.base import scaled
from reglab.run.checkpoints.files import labelled_run, parse_best
from reglab.run.checkpoints.reading import read_weights
from reglab.run.result_file import parse_result
from reglab.run.run_file import read_run_file
from reglab.storage.reading import Unreadable
from reglab.trained.source import STATES, read_source


@dataclasses.dataclass(frozen=True, repr=False)
class Network:
    """A trained network.

    Attributes:
      config: the configuration of its run.
      model: the network as a function.
      weights: its arrays; their average, if its run has kept one.
      input_shape: the shape of one example as the data have it, such as (28, 28).
      divisor: the network's input is x / divisor, unless it is standardized.
      classes: the number of logits.
      step: the number of updates made.
      validation: data loss and accuracy of the validation split, or None if the run did not note them for this step.
      class_names: the labels of the classes as the data have them, by logit; None if these are the numbers from 0.
      standardization: the network's input is (x - mean) / std, feature by feature; None: it is x / divisor.
      inputs: the places of the features that it takes in a flattened example of the data; None for all.
    """

    config: Config
    model: Model
    weights: Weights
    input_shape: tuple[int, ...]
    divisor: float
    classes: int
    step: int
    validation: dict[str, float] | None
    class_names: tuple[ClassName, ...] | None = None
    standardization: Standardization | None = None
    inputs: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"<Network {self.model.describe()}, after {self.step:,} steps>"

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Computes the logits [batch, classes] of `x` [batch, *input_shape], in the data's units, not yet divided."""
        return self.apply(tf.constant(x)).numpy()

    @property
    def parameters(self) -> Parameters:
        """The arrays that were trained."""
        return self.weights.parameters

    @property
    def scaling(self) -> tuple[np.ndarray | None, np.ndarray | float]:
        """Mean, if any, and divisor: the network's input is (x - mean) / divisor, of [examples, features] x."""
        standardization = self.standardization
        return (None, self.divisor) if standardization is None else (standardization.mean, standardization.divisor)

    @property
    def told(self) -> dict[str, Any]:
        """The names of the classes, the standardization and the inputs, where there are any, as JSON values."""
        names, standardization = self.class_names, self.standardization
        return {**({} if names is None else {"class_names": list(names)}),
                **({} if self.inputs is None else {"inputs": self.inputs.tolist()}),
                **({} if standardization is None else {"standardization": standardization.to_dict()})}

    @property
    def dtype(self) -> tf.DType:
        """The dtype of the weights and of the logits."""
        return tf.nest.flatten(self.weights)[0].dtype

    def apply(self, x: tf.Tensor) -> tf.Tensor:
        """Computes the `logits` of a tensor, as a tensor."""
        logits, _ = self.model.apply(*self.weights, self.prepared(x), EVALUATION)
        return logits

    def prepared(self, x: tf.Tensor) -> tf.Tensor:
        """Converts examples in the data's units to what the model takes: [batch, *input_shape], scaled."""
        flat = tf.reshape(tf.cast(x, self.dtype), [-1, math.prod(self.input_shape)])
        of_features = [None if array is None else tf.constant(array, self.dtype) for array in self.scaling]
        return tf.reshape(scaled(flat, *of_features), [-1, *self.input_shape])


def read_network(model_dir: pathlib.Path, state: str, *, products: str = "as trained") -> Network:
    """Reads the network of a run.

    Args:
      state: `best`, the state of lowest validation data loss, or `last`, that of the newest checkpoint.
      products: "as trained", or "float32" to compute in float32 the matrix products that training did in bfloat16.

    Raises:
      ConfigError: the state is neither of these, or the folder holds no run that can be read or fits into memory.
    """
    one_of(*STATES)("state", state)
    source = read_source(model_dir)
    config, shape, classes = source.config, source.input_shape, source.classes
    if products == "float32" and config.precision == "bfloat16":
        config = dataclasses.replace(config, precision="float32")
    model = make_model(config, shape, classes)
    try:
        weights = map_arrays(tf.Variable, model.initialize(config.seed))
    except tf.errors.ResourceExhaustedError:
        raise ConfigError(f"--model_dir={model_dir}: the network is more than memory") from None
    checkpoints = model_dir / "checkpoints"
    run, saved = _saved_by(model_dir)
    folder, saved = (checkpoints / "best", None) if state == "best" else (checkpoints, saved)
    step = read_weights(folder, weights, run, saved, of_average=config.ema is not None)
    return Network(config, model, weights, shape, source.divisor, classes, step, _validation(model_dir, step),
                   source.class_names, source.standardization)


def _saved_by(model_dir: pathlib.Path) -> tuple[str | None, int | None]:
    """Returns the id in the labels of the run's checkpoints and the step of the newest; None if unknown."""
    try:
        run_file = read_run_file(model_dir)
    except Unreadable:
        return labelled_run(model_dir / "checkpoints"), None
    return run_file.run, run_file.saved


def _validation(model_dir: pathlib.Path, step: int) -> dict[str, float] | None:
    """Returns the validation scores that the run wrote for this step, at the best state or at the end, or None."""
    with contextlib.suppress(Unreadable, KeyError, TypeError, ValueError, OverflowError):
        best = parse_best(model_dir / "checkpoints" / "best" / "best.json")
        if best["step"] == step:
            return _scores(best)
    with contextlib.suppress(Unreadable, KeyError, TypeError, ValueError, OverflowError):
        result = parse_result(model_dir / "result.json")
        if result["steps"] == step:
            return _scores(result["validation"])
    return None


def _scores(noted: Any) -> dict[str, float]:
    """Returns the data loss and accuracy in the noted scores of a split.

    Raises:
      KeyError, TypeError, ValueError, OverflowError: one of them is missing or is not a number.
    """
    return {name: float(noted[name]) for name in ("data_loss", "accuracy")}
