"""Turns the tags of an earlier reglab, which were the same for single batches and whole splits, into today's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from reglab.run.logs.tags import ACCURACY, ACCURACY_GAP, DATA_LOSS, DATA_LOSS_GAP, PENALTY, TOTAL, kernel_tag

_EVALUATION: Final = "evaluation/"
_OF_EVALUATIONS: Final = {"evaluation/loss/data": DATA_LOSS, "evaluation/accuracy": ACCURACY, "loss/total": TOTAL,
                          "gap/data": DATA_LOSS_GAP, "gap/accuracy": ACCURACY_GAP}
_TWICE: Final = ("loss/data", "accuracy")
"""Tags of whole splits whose values were also written under `evaluation/…`."""
_OF_STEPS: Final = {"loss/data": "train_batch/data_loss", "loss/total": "train_batch/total",
                    "accuracy": "train_batch/accuracy"}


def are_older(tags: Iterable[str]) -> bool:
    """Returns whether the tags of one line or record are those of an earlier reglab."""
    return any(tag in _OF_STEPS or tag.startswith((_EVALUATION, "gap/")) for tag in tags)


def of_today(values: Mapping[str, float]) -> dict[str, float]:
    """Maps today's tags to the numbers of a point; nothing is lost, and `epoch/penalty` is added if known."""
    if not are_older(values):
        return dict(values)
    if not any(tag.startswith(_EVALUATION) for tag in values):
        return {_OF_STEPS.get(tag, tag): value for tag, value in values.items()}
    found = {_OF_EVALUATIONS.get(tag, tag): value for tag, value in values.items() if tag not in _TWICE}
    return {**found, PENALTY: found["penalty/total"]} if "penalty/total" in found else found


def completed(values: Mapping[str, float], penalty: float | None) -> dict[str, float]:
    """Returns an evaluation of the training split with `epoch/penalty` and `epoch/total` added, which were once written
    for validation only; `penalty` is the penalty of the same weights."""
    if PENALTY in values or penalty is None or DATA_LOSS not in values:
        return dict(values)
    return {**values, PENALTY: penalty, TOTAL: values[DATA_LOSS] + penalty}


def histogram_of_today(tag: str) -> str:
    """Returns today's tag of a kernel's histogram."""
    return kernel_tag(tag.removeprefix(_EVALUATION).removesuffix("/kernel")) if tag.startswith(_EVALUATION) else tag
