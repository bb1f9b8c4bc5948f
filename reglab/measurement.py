"""From what the compiled program sums up to what is reported: TensorBoard tags and their numbers.

The program brings home few raw numbers (`step.Measurement`, `step.KernelSums`) and leaves the arithmetic on them to
NumPy here: as scalar operations in the program they cost a tenth to a fifth more compilation. Every array may have
leading axes, reports and then lanes.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from reglab.step import KernelSums, Measurement, Step


@dataclasses.dataclass(frozen=True)
class Reporter:
    """Knows the layers of a step and the strengths of its penalties.

    Attributes:
      layers: names of the Dense layers.
      sizes: entries of each layer's kernel.
      penalized: places in `layers` of those whose kernels are penalized.
      l1: [..., penalized layers] λ1.
      l2: [..., penalized layers] λ2.
    """

    layers: tuple[str, ...]
    sizes: tuple[int, ...]
    penalized: tuple[int, ...]
    l1: np.ndarray
    l2: np.ndarray

    @staticmethod
    def of(step: Step, sizes: dict[str, int], l1: np.ndarray, l2: np.ndarray) -> Reporter:
        """The reporter of a step whose Dense kernels have `sizes` entries."""
        layers = step.model.dense_layers
        return Reporter(layers, tuple(sizes[layer] for layer in layers),
                        tuple(layers.index(layer) for layer in step.penalized_layers), l1, l2)

    def of_step(self, measured: Measurement) -> dict[str, np.ndarray]:
        """Tag to [...] values of a measured step. `loss/total` = `loss/data` + `penalty/total`."""
        weights = self.of_weights(measured.kernels)
        return {"loss/total": measured.data + weights["penalty/total"], "loss/data": measured.data,
                "accuracy": measured.accuracy, "gradient_norm/data": measured.data_gradient_norm,
                "learning_rate": measured.learning_rate, **weights}

    @np.errstate(invalid="ignore", over="ignore")  # The sums of a lane that diverged are infinite or NaN.
    def of_weights(self, kernels: KernelSums) -> dict[str, np.ndarray]:
        """Tag to [...] values of what the weights alone tell: penalties, norms and sparsity."""
        absolute, square, nonzero = (sums[..., list(self.penalized)]
                                     for sums in (kernels.absolute, kernels.square, kernels.nonzero))
        l1, l2 = self.l1 * absolute, self.l2 * square
        # ‖λ1·sign(W) + 2·λ2·W‖², multiplied out.
        squared_gradient = self.l1 ** 2 * nonzero + 4 * self.l1 * self.l2 * absolute + 4 * self.l2 ** 2 * square
        report = {"penalty/total": l1.sum(-1) + l2.sum(-1), "penalty/l1": l1.sum(-1), "penalty/l2": l2.sum(-1)}
        for k, place in enumerate(self.penalized):
            layer = self.layers[place]
            report |= {f"penalty/{layer}/l1": l1[..., k], f"penalty/{layer}/l2": l2[..., k]}
        for k, (layer, size) in enumerate(zip(self.layers, self.sizes, strict=True)):
            report |= {f"norm/{layer}/l1": kernels.absolute[..., k],
                       f"norm/{layer}/l2": np.sqrt(kernels.square[..., k]),
                       f"sparsity/{layer}": kernels.small[..., k] / size}
        return report | {"sparsity/total": kernels.small.sum(-1) / sum(self.sizes),
                         "gradient_norm/penalty": np.sqrt(squared_gradient.sum(-1))}
