"""The network of a run that is still in memory."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from reglab.config.selection import make_model
from reglab.core.models.base import parameter_dtype
from reglab.core.parameters import Weights, map_arrays
from reglab.data.facts import Columns
from reglab.data.standardization import Standardization
from reglab.run.outcome import History
from reglab.trained.network import Network
from reglab.trained.source import Source


def source_of(history: History) -> Source:
    """Returns what a run tells of its network."""
    data = history.data
    shape, names, standardization = tuple(data["input_shape"]), data.get("class_names"), data.get("standardization")
    columns = data.get("columns")
    return Source(history.config, shape, data["divisor"], data["classes"], data["dtype"], data,
                  None if names is None else tuple(names),
                  None if standardization is None else Standardization.from_dict(standardization, math.prod(shape)),
                  None if columns is None else Columns(columns["label"], tuple(columns["features"])))


def network_of(history: History, *, precision: str | None = None) -> Network:
    """Returns the network with the final weights of a run.

    Args:
      precision: what it computes in, as `Config.precision`; None: as in training.
    """
    source, result = source_of(history), history.result
    config = history.config if precision is None else dataclasses.replace(history.config, precision=precision)
    model = make_model(config, source.input_shape, source.classes)
    weights = map_arrays(lambda array: tf.constant(array, parameter_dtype(config.precision)),
                         Weights(history.parameters, history.buffers))
    return Network(config, model, weights, source.input_shape, source.divisor, source.classes, result["steps"],
                   result["validation"], source.class_names, source.standardization)
