"""TensorFlow Lite: the network for phones and small devices, converted and read back by its interpreter.

The model takes x, float32 [batch, *input_shape] in the units of the data, and gives logits; its signature calls them
so. Its metadata are a file in a zip archive behind it, where the format keeps files of others: `unzip -p a.tflite`
shows it.
"""

from __future__ import annotations

import importlib.util
import pathlib
import warnings
import zipfile
from typing import Any

import numpy as np
import tensorflow as tf

from reglab.config import ConfigError
from reglab.export.formats import Read, in_float32, keras_model
from reglab.export.metadata import NAME, as_text
from reglab.trained.network import Network


def write(network: Network, path: pathlib.Path, metadata: dict[str, Any]) -> None:
    """Writes a network.

    Raises:
      ConfigError: it has an operation that TensorFlow Lite lacks.
    """
    network = in_float32(network)
    model = keras_model(network)
    module = tf.Module()
    module.held = network.weights if model is None else [variable.value for variable in model.variables]
    apply = network.apply if model is None else model
    module.serve = tf.function(lambda x: {"logits": apply(x)}, input_signature=[
        tf.TensorSpec([None, *network.input_shape], tf.float32, name="x")])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
    try:
        converted = converter.convert()
    except Exception as error:  # The converter has errors of many types, with long texts.
        raise ConfigError(f"--format=tflite: TensorFlow Lite lacks an operation of --model={network.model.name} with "
                          f"--activation={network.config.activation} ({type(error).__name__}): choose another "
                          "--format") from None
    path.write_bytes(converted)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(NAME, as_text(metadata))


def read(network: Network, path: pathlib.Path) -> Read:
    """Reads it back by the interpreter of LiteRT where that is installed, else by TensorFlow's own.

    Raises:
      ConfigError: neither is there.
    """
    interpreter = _interpreter(path)

    def logits(x: np.ndarray) -> np.ndarray:
        return np.asarray(interpreter.get_signature_runner()(x=x.astype(np.float32))["logits"])

    return logits


def _interpreter(path: pathlib.Path) -> Any:
    if importlib.util.find_spec("ai_edge_litert") is not None:
        lite: Any = importlib.import_module("ai_edge_litert.interpreter")
        resolvers = lite.OpResolverType
    elif hasattr(tf.lite, "Interpreter"):
        lite, resolvers = tf.lite, tf.lite.experimental.OpResolverType
    else:
        raise ConfigError("--format=tflite needs ai-edge-litert to read back what was written: pip install "
                          "'reglab[tflite]'")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated", UserWarning)
        # The default delegates announce themselves on standard error.
        return lite.Interpreter(str(path), num_threads=1,
                                experimental_op_resolver_type=resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
