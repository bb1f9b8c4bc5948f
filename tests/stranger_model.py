"""A model that reglab does not have: one class, and `models.register(Gated)`."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow as tf

from reglab.core.models import ArrayInfo, Mode, Model
from reglab.core.models.base import parameter_dtype
from reglab.core.parameters import Buffers, Parameters, Weights


@dataclasses.dataclass(frozen=True)
class Gated(Model):
    """Inputs less their mean, (x @ value) · sigmoid(x @ gate), logits; its kernels are named w."""

    name, help = "gated", "a hidden layer with a gate"
    features: int
    classes: int
    dtype: str

    @classmethod
    def configured(cls, settings: Any, input_shape: tuple[int, ...], classes: int) -> Gated:
        return cls(math.prod(input_shape), classes, parameter_dtype(settings.precision))

    @property
    def arrays(self) -> tuple[ArrayInfo, ...]:
        kernels = (("value", "Gate", (self.features, 4)), ("gate", "Gate", (self.features, 4)),
                   ("logits", "Dense", (4, self.classes)))
        return (ArrayInfo("center/mean", "center", "buffer", "Centering", (self.features,)),
                *(ArrayInfo(f"{layer}/w", layer, "kernel", kind, shape) for layer, kind, shape in kernels))

    def initialize(self, seed: int) -> Weights:
        drawn = {array.layer: {"w": tf.random.stateless_normal(array.shape, (seed, i), 0, 0.3, self.dtype)}
                 for i, array in enumerate(self.arrays) if array.role == "kernel"}
        return Weights(drawn, {"center": {"mean": tf.zeros([self.features], self.dtype)}})

    def apply(self, parameters: Parameters, buffers: Buffers, x: tf.Tensor, mode: Mode) -> tuple[tf.Tensor, Buffers]:
        x, mean = tf.reshape(x, [-1, self.features]), buffers["center"]["mean"]
        if mode.training:
            moving, mean = mean, mode.total(tf.reduce_sum(mode.weights[:, None] * x, 0)) / mode.total_weight
            buffers = {"center": {"mean": 0.9 * moving + 0.1 * mean}}
        x -= mean
        hidden = (x @ parameters["value"]["w"]) * tf.sigmoid(x @ parameters["gate"]["w"])
        return hidden @ parameters["logits"]["w"], buffers

    def describe(self) -> str:
        return f"Gated {self.features}-4-{self.classes}"
