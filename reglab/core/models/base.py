"""What a model is: a network as a value that tells its arrays, makes them, applies them and describes itself.

Whatever reads a network (choice of the penalized kernels, decay, reports, export, estimates of memory, checkpoints)
reads what is declared here. Words and shapes are read without TensorFlow, so modules of models import it by
`reglab.core.lazily`.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from reglab.core.lazily import tf
from reglab.core.parameters import Buffers, Parameters, Weights


class ArrayInfo(NamedTuple):
    """What a model tells of each of its arrays."""

    path: str  # Where it is in the parameters or buffers: "dense_0/kernel".
    layer: str  # The first part of the path.
    role: str  # kernel, bias, scale, offset, or buffer: kernels alone are penalized and decay; buffers are not trained.
    layer_kind: str  # Dense, Conv2D, BatchNormalization, …
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """The key in its layer: the second part of the path."""
        return self.path.removeprefix(f"{self.layer}/")

    @property
    def size(self) -> int:
        """The number of its entries."""
        return math.prod(self.shape)


class Mode(NamedTuple):
    """How a model is applied to a replica's share of a global batch. For evaluation, `training` is all there is."""

    training: bool = False
    weights: tf.Tensor = ()  # [examples], 1 for a real example, 0 for padding.
    total_weight: tf.Tensor = ()  # Scalar: the sum of `weights` over all replicas.
    places: tf.Tensor = ()  # [examples] int32: the place of each example in the global batch.
    seed: tf.Tensor = ()  # [2] uint32 of this step and lane; there only for models that draw random numbers.
    total: Callable[[tf.Tensor], tf.Tensor] = lambda share: share  # Of a sum over the share: that over all replicas.


EVALUATION: Final = Mode()


class Settings(Protocol):
    """What a model is made from: fields of `Config`, of which it may read others too."""

    @property
    def hidden(self) -> tuple[int, ...]: ...
    @property
    def activation(self) -> str: ...
    @property
    def dropout(self) -> float: ...
    @property
    def precision(self) -> str: ...


class Model(abc.ABC):
    """A network without state of its own.

    A layer has at most one kernel.

    Attributes:
      name: what `--model` calls it.
      help: what it is, in a clause.
      least_input: the shape of the smallest example that it takes; its layers have the same names for all.
      sized_by: the field of `Config` that decides how large it is.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    least_input: ClassVar[tuple[int, ...]] = (1,)
    sized_by: ClassVar[str] = "model"

    @classmethod
    @abc.abstractmethod
    def configured(cls, settings: Settings, input_shape: tuple[int, ...], classes: int) -> Model:
        """The model for examples of `input_shape` and so many classes.

        Raises:
          ValueError: it does not take such examples; the text says which it takes.
        """

    @property
    @abc.abstractmethod
    def arrays(self) -> tuple[ArrayInfo, ...]:
        """All arrays, input side first."""

    @abc.abstractmethod
    def initialize(self, seed: int) -> Weights:
        """The arrays before the first step, by layer and name: a function of the seed."""

    @abc.abstractmethod
    def apply(self, parameters: Parameters, buffers: Buffers, x: tf.Tensor, mode: Mode) -> tuple[tf.Tensor, Buffers]:
        """[examples, classes] logits of `x` [examples, *input_shape], and the buffers after it.

        In training, what depends on several examples depends on the whole global batch, weighted by `mode.weights`
        and summed by `mode.total`, and what is drawn on `mode.seed` and `mode.places`: so neither depends on replicas,
        padding, lanes or calls. In evaluation the buffers stay what they are. Works under XLA and, with every array
        having another lane's axis, under `tf.vectorized_map`.
        """

    @abc.abstractmethod
    def describe(self) -> str:
        """In a few words for people: `MLP 64-128-64-10, relu`."""

    def keras_layers(self, keras: Any, weights: Weights, rescaling: Any) -> list[tuple[Any, list[Any]]] | None:
        """The network as a chain of Keras layers, each with its arrays; None where it has no such form.

        Args:
          keras: the module.
          rescaling: the layer that divides the input, to stand at its place.
        """
        del keras, weights, rescaling
        return None

    @property
    def activations(self) -> int:
        """About how many numbers the layers give for one example, all together: for estimates of memory."""
        return sum(array.shape[-1] for array in self.arrays if array.role == "kernel")

    @property
    def kernel_layers(self) -> tuple[str, ...]:
        """The layers that have a kernel."""
        return tuple(array.layer for array in self.arrays if array.role == "kernel")

    @property
    def dense_layers(self) -> tuple[str, ...]:
        """The Dense layers among them."""
        return tuple(array.layer for array in self.arrays if array.role == "kernel" and array.layer_kind == "Dense")

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers in training: then `Mode.seed` is there."""
        return False

    @property
    def couples_examples(self) -> bool:
        """Whether training needs sums over the whole global batch on the way to the logits."""
        return any(array.role == "buffer" for array in self.arrays)

    @property
    def size(self) -> int:
        """The number of parameters; buffers do not count."""
        return sum(array.size for array in self.arrays if array.role != "buffer")

    @property
    def kernel_sizes(self) -> dict[str, int]:
        """Layer to the number of entries of its kernel."""
        return {array.layer: array.size for array in self.arrays if array.role == "kernel"}

    @property
    def kernel_names(self) -> dict[str, str]:
        """Layer to the name of its kernel."""
        return {array.layer: array.name for array in self.arrays if array.role == "kernel"}

    def kernels(self, parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Layer to its kernel, out of parameters or what is shaped like them."""
        return {layer: parameters[layer][name] for layer, name in self.kernel_names.items()}

    def with_kernels(self, parameters: Parameters, kernels: Mapping[str, Any]) -> Parameters:
        """The same parameters but for the kernels of some layers."""
        names = self.kernel_names
        return {layer: {**arrays, names[layer]: kernels[layer]} if layer in kernels else arrays
                for layer, arrays in parameters.items()}


def parameter_dtype(precision: str) -> str:
    """The dtype of parameters, sums and optimizer: bfloat16 concerns the matrix products alone."""
    return "float64" if precision == "float64" else "float32"


def product_dtype(precision: str) -> str | None:
    """What the inputs of matrix products are rounded to, if to anything."""
    return "bfloat16" if precision == "bfloat16" else None
