"""ONNX: the network as a graph of standard operations, made from its Keras layers, and read back by ONNX Runtime.

The graph takes x, float32 [batch, *input_shape] in the units of the data, and gives logits, float32 [batch, classes].
Its operations are those of opset 17, which runtimes have had since 2022. Keras has channels last and ONNX first, so
that convolutions and pooling stand between two transpositions, which runtimes take out.
"""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from reglab.config import ConfigError
from reglab.export.formats import Read, in_float32, keras_model, no_layers
from reglab.export.metadata import as_text
from reglab.trained.network import Network

OPSET: Final = 17
_IR_VERSION: Final = 8  # That of opset 17's time; the package would write its newest, which older runtimes refuse.


def write(network: Network, path: pathlib.Path, metadata: dict[str, Any]) -> None:
    """Writes a network; its metadata are among the properties of the model.

    Raises:
      ConfigError: the network has layers for which there is no translation.
    """
    import onnx
    from onnx import TensorProto, helper

    model = keras_model(in_float32(network))
    if model is None:
        raise no_layers(network, path)
    graph = _Graph()
    for layer in model.layers:
        graph.add_layer(layer, path)
    graph.add("Identity", outputs="logits")
    shape: list[str | int | None] = ["batch", *network.input_shape]
    made = helper.make_model(
        helper.make_graph(graph.nodes, "reglab", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                          [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", network.classes])],
                          graph.arrays),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION, producer_name="reglab",
        producer_version=str(metadata["reglab"]))
    names = metadata["class_names"]
    helper.set_model_props(made, {"reglab": as_text(metadata),
                                  **({} if names is None else {"class_names": json.dumps(names)})})
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, str(path))


def read(network: Network, path: pathlib.Path) -> Read:
    """Reads it back by ONNX Runtime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # Errors.
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: np.asarray(session.run(["logits"], {"x": x.astype(np.float32)})[0])


class _Graph:
    """A chain of operations, each of which takes what the last one gave.

    Attributes:
      nodes: the operations.
      arrays: the constants.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []
        self._last = "x"

    def add_layer(self, layer: Any, path: pathlib.Path) -> None:
        """Adds a Keras layer.

        Raises:
          ConfigError: there is no translation for it.
        """
        translate = _LAYERS.get(type(layer).__name__)
        if translate is None:
            raise ConfigError(f"--output={path.name}: there is no translation to ONNX for the Keras layer "
                              f"{type(layer).__name__}: choose another --format")
        translate(self, layer)

    def add(self, operation: str, *others: str, outputs: str = "", first: str = "", **attributes: Any) -> str:
        """Adds an operation on the last output, or on `first`, and on `others`; returns the name of its output."""
        from onnx import helper

        name = outputs or f"{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, [first or self._last, *others], [name], name=name, **attributes))
        self._last = name
        return name

    def array(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        """Adds a constant and returns its name."""
        from onnx import numpy_helper

        unique = f"{name}_{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype), unique))
        return unique

    def activate(self, name: str) -> None:
        """Adds an activation by the name that Keras has for it."""
        before = self._last
        if name == "gelu":  # Exact: x/2 · (1 + erf(x/√2)). An operation of its own is newer than the opset.
            self.add("Mul", self.array("root", math.sqrt(0.5)))
            self.add("Erf")
            self.add("Add", self.array("one", 1.0))
            self.add("Mul", before)
            self.add("Mul", self.array("half", 0.5))
        elif name == "silu":
            self.add("Mul", self.add("Sigmoid"), first=before)
        elif name != "linear":
            self.add(_ACTIVATIONS[name])


_ACTIVATIONS: Final = {"relu": "Relu", "elu": "Elu", "selu": "Selu", "tanh": "Tanh", "sigmoid": "Sigmoid",
                       "softplus": "Softplus"}


def _rescaling(graph: _Graph, layer: Any) -> None:
    graph.add("Mul", graph.array("scale", layer.scale))
    if np.any(layer.offset):
        graph.add("Add", graph.array("offset", layer.offset))


def _dense(graph: _Graph, layer: Any) -> None:
    kernel, bias = layer.get_weights()
    graph.add("Gemm", graph.array(f"{layer.name}/kernel", kernel), graph.array(f"{layer.name}/bias", bias))
    graph.activate(layer.get_config()["activation"])


def _convolution(graph: _Graph, layer: Any) -> None:
    [kernel] = layer.get_weights()  # [height, width, inputs, outputs]
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.add("Conv", graph.array(f"{layer.name}/kernel", kernel.transpose(3, 2, 0, 1)), auto_pad="SAME_UPPER",
              kernel_shape=list(kernel.shape[:2]), strides=list(layer.strides))
    graph.add("Transpose", perm=[0, 2, 3, 1])


def _normalization(graph: _Graph, layer: Any) -> None:
    scale, offset, mean, variance = (array.astype(np.float64) for array in layer.get_weights())
    graph.add("Sub", graph.array(f"{layer.name}/mean", mean))
    graph.add("Mul", graph.array(f"{layer.name}/factor", scale / np.sqrt(variance + layer.epsilon)))
    graph.add("Add", graph.array(f"{layer.name}/offset", offset))


def _pooling(graph: _Graph, layer: Any) -> None:
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.add("MaxPool", kernel_shape=list(layer.pool_size), strides=list(layer.strides))
    graph.add("Transpose", perm=[0, 2, 3, 1])


def _flatten(graph: _Graph, layer: Any) -> None:
    graph.add("Flatten")


def _reshape(graph: _Graph, layer: Any) -> None:
    graph.add("Reshape", graph.array("shape", [-1, *layer.target_shape], np.int64))


_LAYERS: Final[dict[str, Callable[[_Graph, Any], None]]] = {
    "Rescaling": _rescaling, "Dense": _dense, "Conv2D": _convolution, "BatchNormalization": _normalization,
    "MaxPooling2D": _pooling, "Reshape": _reshape, "ReLU": lambda graph, layer: graph.activate("relu"),
    "Flatten": _flatten}
"""How the layers are translated that reglab's models are made of, with the settings that they have there."""
