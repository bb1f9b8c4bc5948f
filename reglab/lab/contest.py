"""Which option is best, and whether no penalty is as good: the numbers on which findings rest.

Options are the arms of a comparison or the points of a sweep. The best is compared with the best of the other kind: if
it has a penalty, with the best that has none, and the other way round. Every option with a penalty is tested against
the best without by Student's paired test; the p-values are multiplied by how many options without a penalty there were
to choose from, and corrected by Holm's method for how many were tested. If all options are of one kind, the best is
compared with the next best, and Bonferroni's correction counts all pairs. Intervals are those of a single difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from reglab.lab.differences import LEVEL, Differences, holm, paired, pairs_needed
from reglab.lab.intervals import mean_and_error

SIGNS: Final = {"data_loss": 1, "accuracy": -1}
"""Maps each selection criterion to 1 if less is better, else to −1."""


class Option(NamedTuple):
    """An arm or a point, none of whose lanes diverged.

    Attributes:
      name: as in "with <name>"; without a penalty, what else distinguishes it, as "at learning rate 0.01", or nothing.
      is_none: whether it penalizes nothing.
      data_loss, accuracy: [n] on validation data, for each seed, or for each fold (the mean over its seeds).
    """

    name: str
    is_none: bool
    data_loss: npt.NDArray[Any]
    accuracy: npt.NDArray[Any]

    @property
    def phrase(self) -> str:
        """The option in words: `with l1 = 0.001`, `without a penalty`."""
        return f"without a penalty {self.name}".rstrip() if self.is_none else f"with {self.name}"


class Replicates(NamedTuple):
    """The replicates over which means are taken.

    Attributes:
      text: all of them in words, as "5 seeds on one split".
      noun: one of them, "seed" or "fold".
      weights: [n] the sizes of the folds; None if all replicates count alike.
    """

    text: str
    noun: str = "seed"
    weights: npt.NDArray[Any] | None = None


class Contest(NamedTuple):
    """The outcome of comparing options.

    Attributes:
      best: the place of the chosen option.
      reference: the place of the option it is compared with; None if there is no other.
      means: [options] the means of the selection criterion.
      against_none: whether there are options with and without a penalty.
      tested: the places of the options that were tested.
      differences: [tested] the differences in the criterion: each option minus the best without a penalty; or, if all
        are of one kind, the best minus the next.
      corrected: [tested] the corrected p-values.
      comparisons: how many comparisons the correction counts.
      pair: maps "data_loss" and "accuracy" to the difference best − reference.
      needed: how many pairs would show that difference, by `pairs_needed`.
    """

    best: int
    reference: int | None
    means: npt.NDArray[Any]
    against_none: bool
    tested: list[int]
    differences: Differences | None
    corrected: npt.NDArray[Any]
    comparisons: int
    pair: dict[str, Differences]
    needed: int | None

    @property
    def p(self) -> float:
        """The corrected p-value of best against reference; NaN for a single pair."""
        tested = self.best if self.best in self.tested else self.reference
        return float(self.corrected[self.tested.index(tested)])  # type: ignore[arg-type]

    def better(self, sign: int) -> list[int]:
        """Returns the places of the tested options that are shown to be better than no penalty."""
        if not self.against_none or self.differences is None:
            return []
        gains = -sign * self.differences.mean
        return [at for at, gain, p in zip(self.tested, gains, self.corrected, strict=True) if gain > 0 and p < LEVEL]


    def described(self, options: Sequence[Option]) -> dict[str, Any]:
        """Returns the contest as JSON values, with options named by their phrases; null if not finite."""
        phrases = [option.phrase for option in options]
        tested = [] if self.differences is None or not self.against_none else [
            {"option": phrases[at], **_entry(self.differences, (i,)), "corrected": _known(self.corrected[i])}
            for i, at in enumerate(self.tested)]
        return {"best": phrases[self.best], "reference": None if self.reference is None else phrases[self.reference],
                "difference": {name: _entry(difference) for name, difference in self.pair.items()},
                "p": _known(self.p) if self.tested else None, "comparisons": self.comparisons, "tested": tested,
                "needed": self.needed}


def _entry(differences: Differences, at: tuple[int, ...] = ()) -> dict[str, float | None]:
    return {name: _known(getattr(differences, name)[at]) for name in ("mean", "low", "high", "p")}


def _known(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def hold(options: Sequence[Option], best: int, replicates: Replicates, selection: str) -> Contest:
    """Compares the options, which have [n] values each; `best` is the one chosen by `selection`."""
    means, _ = mean_and_error(np.array([getattr(option, selection) for option in options]), replicates.weights)
    ranked = [best, *sorted((at for at in range(len(options)) if at != best),
                            key=lambda at: SIGNS[selection] * means[at])]
    nones = [at for at in ranked if options[at].is_none]
    penalized = [at for at in ranked if not options[at].is_none]

    def differences(name: str, ones: Sequence[int], other: int) -> Differences:
        return paired(np.array([getattr(options[at], name) for at in ones]), getattr(options[other], name),
                      weights=replicates.weights, are_folds=replicates.noun == "fold")

    if len(options) == 1:
        return Contest(best, None, means, False, [], None, np.empty(0), 0, {}, None)
    if nones and penalized:
        reference = penalized[0] if best == nones[0] else nones[0]
        tested, choices, comparisons = penalized, len(nones), len(nones) * len(penalized)
        of_tested = differences(selection, tested, nones[0])
    else:
        reference, tested = ranked[1], [best]
        choices = comparisons = len(options) * (len(options) - 1) // 2
        of_tested = differences(selection, tested, reference)
    pair = {name: Differences(*(field[0] for field in differences(name, [best], reference))) for name in SIGNS}
    mean, deviation = float(pair[selection].mean), float(pair[selection].deviation)
    can_need = replicates.noun == "seed" and np.isfinite(deviation)
    return Contest(best, reference, means, bool(nones and penalized), tested, of_tested,
                   holm(np.minimum(choices * of_tested.p, 1.0)), comparisons, pair,
                   pairs_needed(mean, deviation, comparisons) if can_need else None)
