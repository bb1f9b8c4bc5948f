"""Group sparse regularization for deep neural networks, on the digits: four penalties, by subgradient and proximal.

With a subgradient, as published, no weight becomes exactly 0, and what counts as 0 is a matter of a threshold. The
proximal operator of the same objective gives exact zeros, and whole units and inputs go, at no price in accuracy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from reglab.config import Config
from reglab.core.penalties.by_name import ByPenalty
from reglab.data import Dataset, load
from reglab.reproduce.base import LABEL, Criterion, Interval, Job, Outcome, Reproduction
from reglab.reproduce.statistics import difference, is_above, mean_of

STRENGTH: Final = 10.0**-3.5
PENALTIES: Final[Mapping[str, tuple[str, ...]]] = {
    "L2": ("l2",), "L1": ("l1",), "group lasso": ("group_l1",), "sparse group lasso": ("l1", "group_l1")}
"""Maps each penalty of the publication to the terms that make it, each of strength `STRENGTH`."""
MARGIN: Final = 0.5
"""The most points of accuracy that the proximal operator may cost."""


@dataclasses.dataclass(frozen=True)
class Scardapane2017(Reproduction):
    """Accuracy and sparsity of four penalties, by subgradient and by proximal operator.

    Attributes:
      hidden: the widths of the hidden layers.
      epochs: passes over the training data.
      train_size: how many examples to train on; None is all of the training part.
    """

    hidden: tuple[int, ...] = (40, 20)
    epochs: int = 1500
    train_size: int | None = None

    name = "scardapane2017"
    title = "L2, L1, group lasso and sparse group lasso on the digits, by subgradient and proximal"
    source = ("Scardapane, Comminiello, Hussain and Uncini, Neurocomputing 241 (2017), Group sparse regularization for "
              "deep neural networks; its table was not at hand, so none of its figures are shown")
    differently = (
        "By subgradient; the proximal operator beside it is reglab's.",
        "How its data were divided was not at hand; here 25 seeds of the initial weights share one split.",
    )
    metric = "test accuracy (%)"
    columns = {LABEL: "penalty", "subgradient": "subgradient", "small": "|w| <= 0.001 (%)", "proximal": "proximal",
               "zeros": "exactly 0 (%)", "inputs": "inputs gone (%)", "hidden": "hidden units gone (%)"}
    seeds = 25

    @property
    def settings(self) -> dict[str, Any]:
        """The fields, and the strength."""
        return {**dataclasses.asdict(self), "hidden": list(self.hidden), "strength": STRENGTH}

    @property
    def parts(self) -> tuple[str, ...]:
        """One by subgradient and one by proximal operator, with all penalties each."""
        return "subgradient", "proximal"

    def data(self) -> Dataset:
        """Makes the digits with their fixed splits."""
        return load("digits", train_size=self.train_size)

    def train(self, part: str, data: Dataset, job: Job) -> dict[str, Any]:
        """Trains every penalty from every seed; keeps the scores, [penalties, seeds]."""
        from reglab.lab.lanes import Lane
        from reglab.reproduce.lane_runs import kept, train_lanes

        config = Config(hidden=self.hidden, batch_size=min(300, len(data.train)), epochs=self.epochs,
                        evaluate_every=self.epochs, summary_every=0, proximal=part == "proximal")
        lanes = [Lane(ByPenalty(0.0, dict.fromkeys(terms, STRENGTH)), seed=seed)
                 for terms in PENALTIES.values() for seed in job.seeds]
        return kept(train_lanes(config, data, lanes, job).scores, (len(PENALTIES), len(job.seeds)))

    def outcome(self, parts: Mapping[str, Mapping[str, Any]]) -> Outcome:
        """Judges accuracy in differences paired by seed, and what is exactly 0."""
        of = {part: {name: 100 * np.array(values, float) for name, values in kept.items()}
              for part, kept in parts.items()}
        accuracy = {part: 100 - scores["test"] for part, scores in of.items()}
        rows, criteria = list[dict[str, Any]](), list[Criterion]()
        for at, name in enumerate(PENALTIES):
            rows.append({LABEL: name, **{part: mean_of(accuracy[part][at]) for part in self.parts},
                         "small": mean_of(of["subgradient"]["small"][at]),
                         **{key: mean_of(of["proximal"][key][at]) for key in ("zeros", "inputs", "hidden")}})
            gain = difference(accuracy["proximal"][at], accuracy["subgradient"][at])
            criteria.append(Criterion(f"{name}: proximal - subgradient is {_points(gain)}, no less than "
                                      f"-{MARGIN} points", is_above(gain, -MARGIN)))
        zeros, units = rows[1]["zeros"], rows[3]["hidden"]
        criteria += [Criterion(f"L1: {zeros.mean:.1f} % of the entries are exactly 0, at least half", zeros.mean >= 50),
                     Criterion(f"sparse group lasso: {units.mean:.1f} % of the hidden units are gone, at least 30 %",
                               units.mean >= 30)]
        return Outcome(tuple(rows), tuple(criteria), (
            f"By its proximal operator L1 sets {zeros.mean:.1f} % of the kernel entries to exactly 0 (by its "
            f"subgradient {np.mean(of['subgradient']['zeros'][1]):.1f} %), and the sparse group lasso takes away "
            f"{units.mean:.1f} % of the hidden units and {rows[3]['inputs'].mean:.1f} % of the inputs."))

    def draw(self, outcome: Outcome, axis: Any) -> None:
        """Draws accuracy against the share of entries that count as 0."""
        from reglab.lab.plots.style import HUES

        for row, hue in zip(outcome.rows, HUES, strict=False):
            for part, share, fill in (("subgradient", "small", "white"), ("proximal", "zeros", hue)):
                accuracy = row[part]
                error = None if accuracy.low is None else [[accuracy.mean - accuracy.low],
                                                           [accuracy.high - accuracy.mean]]
                axis.errorbar([row[share].mean], [accuracy.mean], error, color=hue, marker="o", markersize=8,
                              markerfacecolor=fill, capsize=3, linestyle="none", label=f"{row[LABEL]}, {part}")
        axis.set_xlabel("kernel entries: within 0.001 of 0 by subgradient (hollow), exactly 0 by proximal (filled) (%)")


def _points(interval: Interval) -> str:
    within = "" if interval.low is None else f" ({interval.low:+.2f} to {interval.high:+.2f})"
    return f"{interval.mean:+.2f} points{within}"
