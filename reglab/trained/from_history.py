"""The network of a run that is still in memory."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from reglab.config.selection import make_model
from reglab.core.models.base import parameter_dtype
from reglab.core.parameters import Weights, map_arrays
from reglab.data.standardization import Standardization
from reglab.run.outcome import History
from reglab.trained.network import Network


def network_of(history: History, *, precision: str | None = None) -> Network:
    """Returns the network with the final weights of a run.

    Args:
      precision: what it computes in, as `Config.precision`; None: as in training.
    """
    config, data = history.config, history.data
    if precision is not None:
        config = dataclasses.replace(config, precision=precision)
    shape, standardization = tuple(data["input_shape"]), data.get("standardization")
    model = make_model(config, shape, data["classes"])
    weights = map_arrays(lambda array: tf.constant(array, parameter_dtype(config.precision)),
                         Weights(history.parameters, history.buffers))
    names = data.get("class_names")
    validation = {name: history.evaluations[-1].validation[name] for name in ("data_loss", "accuracy")}
    return Network(config, model, weights, shape, data["divisor"], data["classes"], history.evaluations[-1].step,
                   validation, None if names is None else tuple(names),
                   None if standardization is None else Standardization.from_dict(standardization, math.prod(shape)))
