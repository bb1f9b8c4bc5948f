"""How a network is written in each format, and how the written network is read back and applied."""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf

from reglab.config import ConfigError
from reglab.core.parameters import Weights, map_arrays
from reglab.data.standardization import Standardization
from reglab.export.metadata import NAME, as_text
from reglab.trained.network import Network

Read = Callable[[np.ndarray], np.ndarray]


class Format(NamedTuple):
    """A format.

    Attributes:
      write: writes a network and its metadata to a path that does not exist yet.
      read: reads it back as a function from x [batch, *input_shape] to logits [batch, classes], by the library that
        the format belongs to.
    """

    write: Callable[[Network, pathlib.Path, dict[str, Any]], None]
    read: Callable[[Network, pathlib.Path], Read]


def format_named(name: str) -> Format:
    """Returns how a format of `KINDS` is written and read; what it needs is imported only now."""
    if name in _MODULES:
        module = importlib.import_module(_MODULES[name])
        return Format(module.write, module.read)
    return _FORMATS[name]


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


def in_float32(network: Network) -> Network:
    """Returns a network with its weights in float32, for formats whose operations know no other numbers.

    Raises:
      ConfigError: the model is in float64 and has no field `dtype` that says so.
    """
    if network.dtype == tf.float32:
        return network
    if "dtype" not in getattr(network.model, "__dataclass_fields__", ()):
        raise ConfigError(f"--model={network.model.name} has no dtype that could be float32, which ONNX and TensorFlow "
                          "Lite need: choose another --format")
    weights = map_arrays(lambda array: tf.Variable(tf.cast(array, tf.float32)), network.weights)
    model: Any = network.model  # Pruned, it is not the one of the configuration, so it has to say its dtype itself.
    return dataclasses.replace(network, model=dataclasses.replace(model, dtype="float32"), weights=weights)


def no_layers(network: Network, path: pathlib.Path) -> ConfigError:
    """Returns the refusal of a format that is made of Keras layers, for a model without such."""
    return ConfigError(f"--output={path.name}: --model={network.model.name} has no form of Keras layers: name an "
                       "*.npz file, or a folder for a SavedModel")


def _for_keras(of_features: np.ndarray | float, network: Network) -> Any:
    """Returns [features] in the shape of an example; a number as it is. (Keras rounds lists to float32, not arrays.)"""
    return of_features if isinstance(of_features, float) else of_features.reshape(network.input_shape)


def _write_keras(network: Network, path: pathlib.Path, metadata: dict[str, Any]) -> None:
    model = keras_model(network)
    if model is None:
        raise no_layers(network, path)
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(NAME, as_text(metadata))


def _read_keras(network: Network, path: pathlib.Path) -> Read:
    import keras

    model = keras.models.load_model(path)
    return lambda x: model(x).numpy()


def _write_saved_model(network: Network, path: pathlib.Path, metadata: dict[str, Any]) -> None:
    model = keras_model(network)
    if model is not None:
        model.export(path, format="tf_saved_model", verbose=False)
    else:
        module = tf.Module()
        module.weights = network.weights  # Otherwise their variables would not be saved.
        signature = [tf.TensorSpec([None, *network.input_shape], network.dtype)]
        module.serve = tf.function(network.apply, input_signature=signature)
        tf.saved_model.save(module, str(path), signatures=module.serve)
    (path / "assets.extra").mkdir()  # The place that the format keeps for files of others.
    (path / "assets.extra" / NAME).write_text(as_text(metadata), "utf-8")


def _read_saved_model(network: Network, path: pathlib.Path) -> Read:
    loaded = tf.saved_model.load(str(path))
    return lambda x: loaded.serve(tf.cast(x, network.dtype)).numpy()


def _write_npz(network: Network, path: pathlib.Path, metadata: dict[str, Any]) -> None:
    arrays = {f"{layer}/{name}": array.numpy() for part in network.weights
              for layer, arrays in part.items() for name, array in arrays.items()}
    with path.open("wb") as file:  # Given a name, `savez` may append .npz.
        np.savez(file, **arrays, **_of_data(network), activation=network.config.activation,
                 metadata=np.array(as_text(metadata)))


def _of_data(network: Network) -> dict[str, Any]:
    """What a user needs besides the weights: the input is (x - mean) / divisor, where there is a mean."""
    mean, divisor = network.scaling
    return {"divisor": divisor, **({} if mean is None else {"mean": mean}),
            **({} if network.class_names is None else {"class_names": np.array(network.class_names)}),
            **({} if network.inputs is None else {"inputs": network.inputs})}


def _read_npz(network: Network, path: pathlib.Path) -> Read:
    with np.load(path) as file:
        arrays: dict[str, Any] = dict(file)
    weights = Weights(*({layer: {name: tf.constant(arrays[f"{layer}/{name}"]) for name in own}
                         for layer, own in part.items()} for part in network.weights))
    scaling = {"divisor": float(arrays["divisor"])} if "mean" not in arrays else {
        "standardization": Standardization(arrays["mean"], arrays["divisor"])}
    return dataclasses.replace(network, weights=weights, **scaling).logits


_FORMATS: Final[Mapping[str, Format]] = {
    "keras": Format(_write_keras, _read_keras), "savedmodel": Format(_write_saved_model, _read_saved_model),
    "npz": Format(_write_npz, _read_npz)}
_MODULES: Final = {"onnx": "reglab.export.onnx_file", "tflite": "reglab.export.tflite_file"}
"""The formats in modules of their own."""
