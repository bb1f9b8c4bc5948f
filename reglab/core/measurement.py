"""Turns the sums that the compiled program computes into reports: TensorBoard tags and their values.

The program returns only a few raw numbers (`step.Measurement`) and leaves the arithmetic on them to NumPy here: done as
scalar operations in the program, it made compilation a tenth to a fifth slower. Every array may have leading axes:
first reports, then lanes.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from reglab.core import penalties
from reglab.core.step import Measurement, Step
from reglab.core.terms import SMALL, ZEROS, Sum, Term, product_factor, sums_of


def joined_norms(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns {`norm_<penalty>`: norm of all kernels taken as one array}, from the result of `Reporter.of_weights`."""
    norms: dict[str, list[np.ndarray]] = {}
    for tag, values in weights.items():
        if tag.startswith("norm/"):
            norms.setdefault(tag.rpartition("/")[2], []).append(values)
    return {f"norm_{name}": penalties.get(name).joined(np.array(of_layers)) for name, of_layers in norms.items()}


@dataclasses.dataclass(frozen=True)
class Reporter:
    """Makes reports from measurements, for one step with its layers, terms and strengths.

    Attributes:
      layers: names of the layers that have a kernel.
      sizes: number of entries in each layer's kernel.
      terms: the terms of the objective.
      strengths: maps each penalty's name to the λ of its term, [..., layers of the term].
      data_loss: the name of the data loss that is trained on.
    """

    layers: tuple[str, ...]
    sizes: tuple[int, ...]
    terms: tuple[Term, ...]
    strengths: Mapping[str, np.ndarray]
    data_loss: str = "data_loss"

    @staticmethod
    def of(step: Step, strengths: Mapping[str, np.ndarray]) -> Reporter:
        """Returns the reporter for a step."""
        sizes = step.model.kernel_sizes
        return Reporter(tuple(sizes), tuple(sizes.values()), step.terms, strengths, step.trained_loss)

    def of_step(self, measured: Measurement) -> dict[str, np.ndarray]:
        """Maps each tag to its [...] values at a measured step.

        `train_batch/total` = `train_batch/data_loss` + `penalty/total`, or with label smoothing
        `train_batch/smoothed_data_loss` + `penalty/total`.
        """
        weights = self.of_weights(measured.kernels)
        return {"train_batch/total": measured.data_loss + weights["penalty/total"],
                f"train_batch/{self.data_loss}": measured.data_loss, "train_batch/accuracy": measured.accuracy,
                "gradient_norm/data": measured.data_gradient_norm, "learning_rate": measured.learning_rate, **weights}

    @np.errstate(invalid="ignore", over="ignore")  # If a lane has diverged, its sums are infinite or NaN.
    def of_weights(self, kernels: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Maps each tag that depends on the weights alone (penalties, norms, sparsity) to its [...] values.

        There are `zeros/…` only if some term acts by its proximal operator.

        Args:
          kernels: one [..., layers] array for each sum, as returned by `Step.measure_kernels`.
        """
        sums = dict(zip(sums_of(self.terms), kernels, strict=True))
        counts = {name: sums[count] for name, count in (("sparsity", SMALL), ("zeros", ZEROS)) if count in sums}
        norms = {term.name: term.penalty.norm(sums[Sum((term.penalty,))]) for term in self.terms}
        report = self._penalties(sums)
        for k, (layer, size) in enumerate(zip(self.layers, self.sizes, strict=True)):
            report |= {f"norm/{layer}/{name}": norm[..., k] for name, norm in norms.items()}
            report |= {f"{name}/{layer}": count[..., k] / size for name, count in counts.items()}
        return report | {**{f"{name}/total": count.sum(-1) / sum(self.sizes) for name, count in counts.items()},
                         "gradient_norm/penalty": np.sqrt(self._squared_gradient(sums).sum(-1))}

    def _penalties(self, sums: Mapping[Sum, np.ndarray]) -> dict[str, np.ndarray]:
        """λ·Ω(W) in total, for each term, and for each layer of each term."""
        of_layers = {term.name: self.strengths[term.name] * sums[Sum((term.penalty,))][..., self._places(term.layers)]
                     for term in self.terms}
        of_terms = {f"penalty/{name}": values.sum(-1) for name, values in of_layers.items()}
        nothing = np.zeros_like(sums[SMALL][..., 0])
        report = {"penalty/total": sum(of_terms.values(), nothing), **of_terms}
        for layer in self._penalized:
            report |= {f"penalty/{layer}/{term.name}": of_layers[term.name][..., term.layers.index(layer)]
                       for term in self.terms if layer in term.layers}
        return report

    def _squared_gradient(self, sums: Mapping[Sum, np.ndarray]) -> np.ndarray:
        """[..., penalized layers] ‖Σ_terms λ·∇Ω(W)‖², multiplied out: λ²·⟨∇Ω, ∇Ω⟩ + 2·λ·λ'·⟨∇Ω, ∇Ω'⟩ + …"""
        squared = np.zeros_like(sums[SMALL][..., self._places(self._penalized)])
        for one, other in itertools.combinations_with_replacement(self.terms, 2):
            known = product_factor(one.penalty, other.penalty)
            products = sums[Sum((one.penalty, other.penalty))] if known is None else known[1] * sums[Sum((known[0],))]
            products = products[..., self._places(self._penalized)]
            squared = squared + (self._spread(one) ** 2 * products if one is other else
                                 2 * self._spread(one) * self._spread(other) * products)
        return squared

    @property
    def _penalized(self) -> tuple[str, ...]:
        return tuple(layer for layer in self.layers if any(layer in term.layers for term in self.terms))

    def _places(self, layers: tuple[str, ...]) -> list[int]:
        return [self.layers.index(layer) for layer in layers]

    def _spread(self, term: Term) -> np.ndarray:
        """The [..., penalized layers] λ of a term, 0 for layers it does not cover."""
        given = self.strengths[term.name]
        return np.stack([given[..., term.layers.index(layer)] if layer in term.layers else np.zeros_like(given[..., 0])
                         for layer in self._penalized], axis=-1)
