"""What must hold between the numbers of one point of a run, whatever the weights were: sums and their parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from reglab.core.step import Hyperparameters, Step
from reglab.run.logs.tags import ACCURACY, ACCURACY_GAP, DATA_LOSS, DATA_LOSS_GAP, PENALTY, TOTAL


class Expectation(NamedTuple):
    """What a number should be.

    Attributes:
      tag: its tag, or its place in a JSON file.
      value: what it should be.
      scale: the size of the numbers that it was made of, of which rounding moves it by a small part.
      leeway: what else it may differ by.
    """

    tag: str
    value: float
    scale: float
    leeway: float = 0.0


def identities(values: Mapping[str, float], step: Step, hyper: Hyperparameters) -> Iterator[Expectation]:
    """Yields what the sums of a point should be by their parts, for as many as the point has.

    Args:
      values: the numbers of the point by tag.
    """
    for total, parts in _sums(step):
        if total in values and parts and all(part in values for part in parts):
            yield Expectation(total, sum(values[part] for part in parts), sum(abs(values[part]) for part in parts))
    if PENALTY in values and "penalty/total" in values:
        yield Expectation(PENALTY, values["penalty/total"], abs(values["penalty/total"]))
    yield from _norms(values, step, hyper)
    sizes = step.model.kernel_sizes
    for count in ("sparsity", "zeros"):
        if all(f"{count}/{layer}" in values for layer in (*sizes, "total")):
            mean = sum(values[f"{count}/{layer}"] * size for layer, size in sizes.items()) / sum(sizes.values())
            yield Expectation(f"{count}/total", mean, mean)


def gaps(train: Mapping[str, float], validation: Mapping[str, float]) -> Iterator[Expectation]:
    """Yields what the point of the validation split should say of the gap to that of the training split."""
    for tag, score, sign in ((DATA_LOSS_GAP, DATA_LOSS, 1), (ACCURACY_GAP, ACCURACY, -1)):
        if tag in validation and score in train and score in validation:
            yield Expectation(tag, sign * (validation[score] - train[score]),
                              abs(validation[score]) + abs(train[score]))


def _sums(step: Step) -> Iterator[tuple[str, list[str]]]:
    yield TOTAL, [f"epoch/{step.trained_loss}", PENALTY]
    yield "train_batch/total", [f"train_batch/{step.trained_loss}", "penalty/total"]
    yield "penalty/total", [f"penalty/{term.name}" for term in step.terms]
    for term in step.terms:
        yield f"penalty/{term.name}", [f"penalty/{layer}/{term.name}" for layer in term.layers]


def _norms(values: Mapping[str, float], step: Step, hyper: Hyperparameters) -> Iterator[Expectation]:
    """The norm of a kernel by its penalty, which is λ·Ω, or the penalty, where λ is 0."""
    for term in step.terms:
        for layer, strength in zip(term.layers, hyper.strengths[term.name].numpy().tolist(), strict=True):
            penalty, norm = f"penalty/{layer}/{term.name}", f"norm/{layer}/{term.name}"
            if not strength:
                yield Expectation(penalty, 0.0, 0.0)
            elif values.get(penalty, -1.0) >= 0 and norm in values:
                expected = float(term.penalty.norm(np.array(values[penalty] / strength)))
                yield Expectation(norm, expected, expected)
