"""An evaluation: the scores of a run after a number of updates, over both whole splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from reglab.console.format import scores_text
from reglab.core import penalties
from reglab.engine.training import Training
from reglab.run.logs.tags import trained_loss


@dataclasses.dataclass(frozen=True, repr=False)
class Evaluation:
    """The scores of both splits after `step` updates, each example counted once, and the measurements of the weights.

    `train` and `validation` have `data_loss`, each term under the name of its penalty, `penalty` (their sum),
    `total`, `accuracy` and, with label smoothing, `smoothed_data_loss`, which is then part of the total; `weights` maps
    tags to everything measured of the weights.
    """

    step: int
    epoch: int
    train: dict[str, float]
    validation: dict[str, float]
    weights: dict[str, float]

    def __repr__(self) -> str:
        return (f"<Evaluation of epoch {self.epoch}, step {self.step:,}: training {scores_text(self.train)}; "
                f"validation {scores_text(self.validation)}>")

    @staticmethod
    def of(step: int, epoch: int, train: Mapping[str, float], validation: Mapping[str, float],
           weights: Mapping[str, float]) -> Evaluation:
        """Makes an evaluation from the data loss and accuracy of the splits and the penalties of the weights."""
        terms = {name: weights[f"penalty/{name}"] for name in penalties.names() if f"penalty/{name}" in weights}
        total = weights["penalty/total"]
        splits = [{**split, **terms, "penalty": total, "total": trained_loss(split) + total}
                  for split in (train, validation)]
        return Evaluation(step, epoch, splits[0], splits[1], dict(weights))

    @property
    def gap(self) -> dict[str, float]:
        """The generalization gap: validation − training for the data loss, training − validation for the accuracy."""
        return {"data_loss": self.validation["data_loss"] - self.train["data_loss"],
                "accuracy": self.train["accuracy"] - self.validation["accuracy"]}


def evaluate(training: Training, epoch: int) -> Evaluation:
    """Evaluates a training's state after `epoch` epochs."""
    weights = {tag: float(value) for tag, value in training.measure_weights().items()}
    splits = {split: {name: float(value) for name, value in training.evaluate(split).items()}
              for split in ("train", "validation")}
    return Evaluation.of(training.steps_taken, epoch, splits["train"], splits["validation"], weights)
