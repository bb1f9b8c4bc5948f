"""The formats of an export: how a network is written, and how the written network is read back and applied."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf

from reglab.config import ConfigError
from reglab.core.parameters import Weights
from reglab.data.standardization import Standardization
from reglab.trained.network import Network


class Format(NamedTuple):
    """One format.

    Attributes:
      name: its name, for people.
      write: writes a network to a path that does not exist yet.
      read: reads it back as a function from x [batch, *input_shape] to logits [batch, classes], by the library that
        the format belongs to.
      usage: a line of Python that reads it, with {path} for the path.
    """

    name: str
    write: Callable[[Network, pathlib.Path], None]
    read: Callable[[Network, pathlib.Path], Callable[[np.ndarray], np.ndarray]]
    usage: str


def format_of(output: pathlib.Path) -> Format:
    """Returns the format that the name of a file implies."""
    return _BY_SUFFIX.get(output.suffix, SAVED_MODEL)


def keras_model(network: Network) -> Any:
    """Makes a Keras model that takes x in the data's units, or returns None if the network has no such form."""
    import keras

    dtype = network.dtype.name
    mean, divisor = network.scaling
    rescaling = keras.layers.Rescaling(_for_keras(1 / divisor, network), dtype=dtype)
    chain = network.model.keras_layers(keras, network.weights, rescaling)
    if chain is None:
        return None
    model = keras.Sequential([keras.Input(network.input_shape, dtype=dtype, name="x")], name="reglab")
    if mean is not None:  # By a layer of its own: x / std - mean / std would lose the digits of a large mean.
        model.add(keras.layers.Rescaling(1.0, _for_keras(-mean, network), dtype=dtype, name="centering"))
    for layer, arrays in chain:
        model.add(layer)
        layer.set_weights([array.numpy() for array in arrays])
    return model


def _for_keras(of_features: np.ndarray | float, network: Network) -> Any:
    """Returns [features] in the shape of an example; a number as it is. (Keras rounds lists to float32, not arrays.)"""
    return of_features if isinstance(of_features, float) else of_features.reshape(network.input_shape)


def _write_keras(network: Network, path: pathlib.Path) -> None:
    model = keras_model(network)
    if model is None:
        raise ConfigError(f"--output={path.name}: --model={network.model.name} has no form of Keras layers: name an "
                          "*.npz file, or a folder for a SavedModel")
    model.save(path)


def _read_keras(network: Network, path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    import keras

    model = keras.models.load_model(path)
    return lambda x: model(x).numpy()


def _write_saved_model(network: Network, path: pathlib.Path) -> None:
    model = keras_model(network)
    if model is not None:
        model.export(path, format="tf_saved_model", verbose=False)
        return
    module = tf.Module()
    module.weights = network.weights  # Otherwise their variables would not be saved.
    signature = [tf.TensorSpec([None, *network.input_shape], network.dtype)]
    module.serve = tf.function(network.apply, input_signature=signature)
    tf.saved_model.save(module, str(path), signatures=module.serve)


def _read_saved_model(network: Network, path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    loaded = tf.saved_model.load(str(path))
    return lambda x: loaded.serve(tf.cast(x, network.dtype)).numpy()


def _write_npz(network: Network, path: pathlib.Path) -> None:
    arrays = {f"{layer}/{name}": array.numpy() for part in network.weights
              for layer, arrays in part.items() for name, array in arrays.items()}
    with path.open("wb") as file:  # Given a name, `savez` may append .npz.
        np.savez(file, **arrays, **_of_data(network), activation=network.config.activation)


def _of_data(network: Network) -> dict[str, Any]:
    """What a user needs besides the weights: the input is (x - mean) / divisor, where there is a mean."""
    mean, divisor = network.scaling
    return {"divisor": divisor, **({} if mean is None else {"mean": mean}),
            **({} if network.class_names is None else {"class_names": np.array(network.class_names)}),
            **({} if network.inputs is None else {"inputs": network.inputs})}


def _read_npz(network: Network, path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    with np.load(path) as file:
        arrays: dict[str, Any] = dict(file)
    weights = Weights(*({layer: {name: tf.constant(arrays[f"{layer}/{name}"]) for name in own}
                         for layer, own in part.items()} for part in network.weights))
    scaling = {"divisor": float(arrays["divisor"])} if "mean" not in arrays else {
        "standardization": Standardization(arrays["mean"], arrays["divisor"])}
    return dataclasses.replace(network, weights=weights, **scaling).logits


KERAS: Final = Format("Keras model", _write_keras, _read_keras, 'keras.models.load_model("{path}")')
NPZ: Final = Format("NumPy arrays", _write_npz, _read_npz, 'np.load("{path}")["logits/kernel"]')
SAVED_MODEL: Final = Format("SavedModel", _write_saved_model, _read_saved_model,
                            'model = tf.saved_model.load("{path}"); model.serve(x)')
_BY_SUFFIX: Final = {".keras": KERAS, ".npz": NPZ}
