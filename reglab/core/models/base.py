"""The interface of a model: a network as a value that lists its arrays, creates them, applies them, describes itself.

Everything that needs to know about a network (choosing the penalized kernels, decay, reports, export, memory estimates,
checkpoints) reads only what is declared here. Names and shapes are read without TensorFlow, so modules that define
models import it through `reglab.core.lazily`.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from reglab.core.lazily import tf
from reglab.core.parameters import Buffers, Parameters, Weights


class ArrayInfo(NamedTuple):
    """A model's description of one of its arrays."""

    path: str  # Its place in the parameters or buffers: "dense_0/kernel".
    layer: str  # The first part of the path.
    role: str  # kernel, bias, scale, offset or buffer. Only kernels are penalized or decay; buffers are not trained.
    layer_kind: str  # Dense, Conv2D, BatchNormalization, …
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """The array's key within its layer: the second part of the path."""
        return self.path.removeprefix(f"{self.layer}/")

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)


class Mode(NamedTuple):
    """How to apply a model to a replica's share of a global batch. In evaluation, only `training` is used."""

    training: bool = False
    weights: tf.Tensor = ()  # [examples], 1 for a real example, 0 for padding.
    total_weight: tf.Tensor = ()  # Scalar: the sum of `weights` over all replicas.
    places: tf.Tensor = ()  # [examples] int32: the place of each example in the global batch.
    seed: tf.Tensor = ()  # [2] uint32, for this step and lane; set only for models that draw random numbers.
    total: Callable[[tf.Tensor], tf.Tensor] = lambda share: share  # Sums a share's sum over all replicas.


EVALUATION: Final = Mode()


class Settings(Protocol):
    """The settings a model is made from: these are fields of `Config`; a model may read its other fields too."""

    @property
    def hidden(self) -> tuple[int, ...]: ...
    @property
    def activation(self) -> str: ...
    @property
    def dropout(self) -> float: ...
    @property
    def precision(self) -> str: ...


class Pruned(NamedTuple):
    """A network without the units that its logits do not need.

    Attributes:
      model: the smaller network.
      weights: its arrays.
      kept: maps each layer with units to the former places of those that are left, of how many there were.
      used_inputs: the places, in a flattened example, of the inputs with a weight other than 0; None if these are not
        known.
    """

    model: Model
    weights: Weights
    kept: Mapping[str, tuple[Any, int]]
    used_inputs: Any | None


class Model(abc.ABC):
    """A network that holds no state of its own.

    A layer has at most one kernel.

    Attributes:
      name: the name that selects it in `--model`.
      help: a clause that says what it is.
      least_input: the shape of the smallest example it accepts; its layer names are the same for all input shapes.
      sized_by: the field of `Config` that determines its size.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    least_input: ClassVar[tuple[int, ...]] = (1,)
    sized_by: ClassVar[str] = "model"

    @classmethod
    @abc.abstractmethod
    def configured(cls, settings: Settings, input_shape: tuple[int, ...], classes: int) -> Model:
        """Returns the model for examples of shape `input_shape` and the given number of classes.

        Raises:
          ValueError: the model cannot take such examples; the message says which ones it takes.
        """

    @property
    @abc.abstractmethod
    def arrays(self) -> tuple[ArrayInfo, ...]:
        """All arrays, starting at the input side."""

    @abc.abstractmethod
    def initialize(self, seed: int) -> Weights:
        """Returns the arrays before the first step, by layer and name, as a function of the seed."""

    @abc.abstractmethod
    def apply(self, parameters: Parameters, buffers: Buffers, x: tf.Tensor, mode: Mode) -> tuple[tf.Tensor, Buffers]:
        """Returns the [examples, classes] logits of `x` [examples, *input_shape], and the new buffers.

        In training, whatever depends on several examples depends on the whole global batch, weighted by `mode.weights`
        and summed with `mode.total`; whatever is random depends on `mode.seed` and `mode.places`. Hence neither depends
        on replicas, padding, lanes or the split into calls. In evaluation the buffers are returned unchanged. Works
        under XLA and, where every array has a lane axis, under `tf.vectorized_map`.
        """

    @abc.abstractmethod
    def describe(self) -> str:
        """Describes the network in a few words: `MLP 64-128-64-10, relu`."""

    def keras_layers(self, keras: Any, weights: Weights, rescaling: Any) -> list[tuple[Any, list[Any]]] | None:
        """Returns the network as a chain of Keras layers, each with its arrays, or None if it has no such form.

        Args:
          keras: the Keras module.
          weights: the arrays of the network.
          rescaling: the layer that divides the input, to be placed first: it takes the shape that the data have.
        """
        del keras, weights, rescaling
        return None

    def pruned(self, weights: Weights, *, drop_inputs: bool = False) -> Pruned | None:
        """Returns a smaller network with the same logits, without the units that no logit needs (`pruning.py`).

        Returns None if there is no such form of this model.

        Args:
          drop_inputs: whether it takes only the inputs with a weight other than 0, as [examples, used inputs].
        """
        del weights, drop_inputs
        return None

    @property
    def flops(self) -> int:
        """Floating-point operations of the matrix products for one example: two for each entry of a Dense kernel."""
        return 2 * sum(array.size for array in self.arrays if array.role == "kernel")

    @property
    def activations(self) -> int:
        """Roughly how many values all layers together produce for one example; used to estimate memory."""
        return sum(array.shape[-1] for array in self.arrays if array.role == "kernel")

    @property
    def kernel_layers(self) -> tuple[str, ...]:
        """The layers that have a kernel."""
        return tuple(array.layer for array in self.arrays if array.role == "kernel")

    @property
    def dense_layers(self) -> tuple[str, ...]:
        """The Dense layers that have a kernel."""
        return tuple(array.layer for array in self.arrays if array.role == "kernel" and array.layer_kind == "Dense")

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers in training, and so needs `Mode.seed`."""
        return False

    @property
    def couples_examples(self) -> bool:
        """Whether computing the logits in training needs sums over the whole global batch."""
        return any(array.role == "buffer" for array in self.arrays)

    @property
    def size(self) -> int:
        """The number of parameters, not counting buffers."""
        return sum(array.size for array in self.arrays if array.role != "buffer")

    @property
    def kernel_sizes(self) -> dict[str, int]:
        """Maps each layer to the number of entries in its kernel."""
        return {array.layer: array.size for array in self.arrays if array.role == "kernel"}

    @property
    def kernel_names(self) -> dict[str, str]:
        """Maps each layer to the name of its kernel."""
        return {array.layer: array.name for array in self.arrays if array.role == "kernel"}

    def kernels(self, parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Maps each layer to its kernel, taken from the parameters or from a structure like them."""
        return {layer: parameters[layer][name] for layer, name in self.kernel_names.items()}

    @property
    def bias_names(self) -> dict[str, str]:
        """Maps each layer with a bias to its name."""
        return {array.layer: array.name for array in self.arrays if array.role == "bias"}

    def biases(self, parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Maps each layer with a bias to it, taken from the parameters or from a structure like them."""
        return {layer: parameters[layer][name] for layer, name in self.bias_names.items()}


def parameter_dtype(precision: str) -> str:
    """The dtype of parameters, sums and optimizer: bfloat16 applies only to matrix products."""
    return "float64" if precision == "float64" else "float32"


def product_dtype(precision: str) -> str | None:
    """The dtype to which the inputs of matrix products are rounded, or None if they are not rounded."""
    return "bfloat16" if precision == "bfloat16" else None
