"""The tags of a run: what their numbers mean, and why TensorBoard shows them in this order.

TensorBoard sorts tags by name, groups those with the same text before the first `/`, and opens the first two groups. So
`epoch/data_loss` is its first card, with penalty and total beside it, and accuracy and gap come next. Values of single
training batches have their own group, to which no other run writes, so that no chart mixes them with those of a split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from reglab.console import format
from reglab.core import penalties

DATA_LOSS: Final = "epoch/data_loss"
PENALTY: Final = "epoch/penalty"
TOTAL: Final = "epoch/total"
ACCURACY: Final = "generalization/accuracy"
DATA_LOSS_GAP: Final = "generalization/data_loss_gap"
ACCURACY_GAP: Final = "generalization/accuracy_gap"
ABOUT_FOUND: Final = "about/found"
ABOUT_RUN: Final = "about/run"
ABOUT_TAGS: Final = "about/tags"
FIRST_LAYER: Final = "about/first_layer"
_KERNEL: Final = "weights/"
EVALUATED: Final = ("epoch/", "generalization/", _KERNEL, ABOUT_FOUND, FIRST_LAYER)
"""How the tags begin that are written after an epoch, about the weights that its updates have made."""

_Number = TypeVar("_Number")  # Or an array of them.


class Meaning(NamedTuple):
    """What some tags mean, for people, with Markdown.

    Attributes:
      tags: the tags, or patterns for them.
      runs: the TensorBoard runs that have them.
      text: the meaning.
    """

    tags: str
    runs: str
    text: str


def meanings(names: Sequence[str]) -> list[Meaning]:
    """Returns the meaning of each tag.

    Args:
      names: the names of the penalties.
    """
    first, *_ = names
    of_terms = ", ".join(f"`penalty/{name}`" for name in names)
    return [
        Meaning(f"`{DATA_LOSS}`", "train, validation", "data loss over the whole split, after each epoch; never with a "
                                                       "penalty in it"),
        Meaning(f"`{PENALTY}`, `{TOTAL}`", "train, validation", f"all penalties; `{TOTAL}` = `{DATA_LOSS}` + "
                                                                f"`{PENALTY}` at every point"),
        Meaning(f"`{ACCURACY}`", "train, validation", "over the whole split, after each epoch"),
        Meaning(f"`{DATA_LOSS_GAP}`, `{ACCURACY_GAP}`", "validation",
                "the generalization gap: validation - training in data loss, training - validation in accuracy"),
        Meaning("`train_batch/data_loss`, `train_batch/accuracy`, `train_batch/total`", "train",
                "of one training batch, before its update"),
        Meaning("`gradient_norm/data`", "train",
                "of one training batch; with `gradient_norm/penalty`, which of the two pulls harder"),
        Meaning(f"`penalty/total`, {of_terms}, `penalty/<layer>/{first}` …", "train, validation",
                "the penalties of the weights, in all, by term and by layer"),
        Meaning(", ".join(f"`norm/<layer>/{name}`" for name in names), "train, validation",
                "a norm of the kernel: " + ", ".join(f"{penalties.get(name).norm_formula} for {name}" for name in names
                                                     ).replace("|", "\\|")),
        Meaning("`sparsity/<layer>`, `sparsity/total`", "train, validation", "fraction of kernel entries with "
                                                                             "\\|w\\| ≤ 0.001"),
        Meaning("`epoch/smoothed_data_loss`, `train_batch/smoothed_data_loss`", "train, validation",
                "with `--label_smoothing`: the data loss of the smoothed labels, which is then part of the totals in "
                "place of the data loss; there is no `train_batch/data_loss`"),
        Meaning("`epoch/weighted_data_loss`, `train_batch/weighted_data_loss`", "train, validation",
                "the same with `--class_weights`: the mean cross-entropy weighted by class"),
        Meaning("`zeros/<layer>`, `zeros/total`", "train, validation", "with `--proximal`: fraction of kernel entries "
                                                                       "that are exactly 0"),
        Meaning("`weights/<layer>/kernel`", "train", "with `--histograms`: the distribution of the kernel's entries"),
        Meaning(f"`{FIRST_LAYER}`", "validation", "if inputs are images: each unit's weights as one, at the end; "
                                                  "white is 0, orange positive, blue negative"),
        Meaning("`learning_rate`, `perf/…`", "train", "the schedule, and steps and examples a second"),
        Meaning("`updates/left_out`", "train", "with `--on_nonfinite=skip` or `restore`: how many updates so far"),
    ]


def trained_loss(split: Mapping[str, _Number]) -> _Number:
    """Returns the loss that training minimizes beside the penalties: one of `TRAINED_LOSSES`, else "data_loss"."""
    return split[format.trained_loss(split) or "data_loss"]


def split_tags(split: Mapping[str, _Number]) -> dict[str, _Number]:
    """Maps the tags of a whole split to its values, given its "data_loss", "penalty", "total" and "accuracy".

    It may have one of `TRAINED_LOSSES` too.
    """
    trained = {f"epoch/{name}": split[name] for name in format.TRAINED_LOSSES if name in split}
    return {DATA_LOSS: split["data_loss"], **trained, PENALTY: split["penalty"], TOTAL: split["total"],
            ACCURACY: split["accuracy"]}


def gap_tags(gap: Mapping[str, _Number]) -> dict[str, _Number]:
    """Maps the tags of the generalization gap to its values, given its "data_loss" and "accuracy"."""
    return {DATA_LOSS_GAP: gap["data_loss"], ACCURACY_GAP: gap["accuracy"]}


def kernel_tag(layer: str) -> str:
    """Returns the tag of a layer's histogram."""
    return f"{_KERNEL}{layer}/kernel"
