"""The findings in words: a title and one to three sentences, and every number in them.

A sentence says what was measured ("is lowest") or shown by a test at 5 % ("better"), never that two options are equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from reglab.console.format import number, percent
from reglab.lab.contest import SIGNS, Contest, Option, Replicates, hold
from reglab.lab.differences import LEVEL
from reglab.lab.intervals import CONFIDENCE
from reglab.lab.seeds import listed

_MOST_NAMED: Final = 3


class _Measure(NamedTuple):
    title: str
    most: str
    more: str
    unit: str
    scale: float


_MEASURES: Final = {"data_loss": _Measure("validation data loss", "lowest", "lower", "nats", 1.0),
                    "accuracy": _Measure("validation accuracy", "highest", "higher", "percentage points", 100.0)}


def find(options: Sequence[Option], best: int | None, replicates: Replicates, *, selection: str = "data_loss",
         remarks: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the findings as JSON values; the numbers are those of `contest`.

    "title" and "sentences" are for people. "difference" maps "data_loss" and "accuracy" to best − reference, {"mean",
    "low", "high", "p"} with p before any correction; "p" is the corrected one for the selection criterion. "tested" has
    the same for each option with a penalty, minus the best without. "needed" is how many seeds would show the
    difference.

    Args:
      options: all options that may be named.
      best: the place of the chosen one; None if none could be chosen.
      selection: the criterion of the choice, "data_loss" or "accuracy".
      remarks: clauses for the last sentence.
    """
    found = {"over": replicates.text, "confidence": CONFIDENCE, "selection": selection}
    if best is None:
        why = "; ".join(remarks) or "all lanes diverged"
        return {"title": "Nothing was found", "sentences": [f"Nothing was found: {why}."], **found}
    contest = hold(options, best, replicates, selection)
    words = _Words(options, contest, replicates, selection)
    return {"title": words.title(), "sentences": [*words.sentences(), *_sentence([*words.others(), *remarks])], **found,
            **contest.described(options)}


def _sentence(clauses: Sequence[str]) -> list[str]:
    text = "; ".join(clauses)
    return [f"{_capital(text)}."] if text else []


class _Words:
    """The sentences on one contest."""

    def __init__(self, options: Sequence[Option], contest: Contest, replicates: Replicates, selection: str) -> None:
        self._options, self._contest, self._replicates, self._selection = options, contest, replicates, selection
        self._measure = _MEASURES[selection]
        self._best = options[contest.best]
        self._reference = None if contest.reference is None else options[contest.reference]
        self._better = contest.better(SIGNS[selection])
        self._is_single = len(self._best.data_loss) == 1

    def title(self) -> str:
        """Returns a line for a picture."""
        measure = self._measure
        if self._contest.against_none and not self._is_single and not self._better:
            return self._no_better()
        if self._reference is None:
            return "There is nothing to compare"
        text = f"{_capital(measure.title)} is {measure.most} {self._best.phrase}"
        if self._is_single:
            return f"{text} (one {self._replicates.noun})"
        is_shown = self._contest.best in self._better if self._contest.against_none else self._contest.p < LEVEL
        return f"{text}, {self._gain()}" if is_shown else f"{text}, but that may be chance"

    def sentences(self) -> list[str]:
        """Returns which option is best, by how much and how surely, and the difference in the other measure."""
        if self._reference is None:
            return [f"{_capital(self._best.phrase)} the {self._measure.title} is {self._level()}; there is nothing to "
                    "compare it with."]
        return [self._verdict(), self._also()]

    def others(self) -> list[str]:
        """Returns which other penalties are better than none, if any penalty is and there are others."""
        others = sorted(set(self._contest.tested) - {self._contest.best})
        if not self._better or not others:
            return []
        better = [at for at in others if at in self._better]
        if len(others) > _MOST_NAMED:
            are = "is" if len(better) == 1 else "are"
            return [f"of the {len(others)} other penalties {len(better)} {are} shown to be better than none"]
        too = " too" if self._contest.best in self._better else ""
        return [f"{self._names(places)} {text}" for places, text in (
            (better, f"better than none{too}"), ([at for at in others if at not in better],
                                               "not shown to be better than none")) if places]

    def _names(self, places: Sequence[int]) -> str:
        return f"{listed([self._options[at].name for at in places])} {'is' if len(places) == 1 else 'are'}"

    def _lead(self) -> str:
        return f"{self._best.phrase} the {self._measure.title} is {self._measure.most}, {self._level()}"

    def _level(self) -> str:
        level = self._contest.means[self._contest.best]
        return percent(level) if self._selection == "accuracy" else f"{number(level)} nats"

    def _verdict(self) -> str:
        assert self._reference is not None
        lead = f"{self._lead()}, {self._gain()}{self._sure()}"
        if self._is_single:
            return f"{_capital(lead)}; one {self._replicates.noun} gives no interval, so this may be chance."
        if not self._contest.against_none:
            return f"{_capital(lead)}{self._needed() if self._contest.p >= LEVEL else ''}."
        if self._best.is_none:
            return f"{self._no_better()}: {lead}."
        if self._contest.best in self._better:
            return f"{_capital(lead)}."
        if self._better:
            return f"{_capital(lead)}, which is not shown to be better than none{self._needed()}."
        return f"{self._no_better()}: {lead}{self._needed()}."

    def _no_better(self) -> str:
        is_shown = self._best.is_none and self._contest.p < LEVEL
        return "No penalty tested is better than none" + (
            "" if is_shown else f", as far as {self._replicates.text} can tell")

    def _gain(self) -> str:
        """Returns the gain in words: `0.021 nats lower than without a penalty`."""
        assert self._reference is not None
        gain = -SIGNS[self._selection] * float(self._contest.pair[self._selection].mean)
        of_next = "" if self._contest.against_none and not self._best.is_none else (
            "with the best penalty, " if self._contest.against_none else "with the next best, ")
        phrase = f"{of_next}{self._reference.name}" if of_next else self._reference.phrase
        if gain == 0:
            return f"the same as {phrase}"
        return f"{self._amounts(self._selection)[0]} {self._measure.more} than {phrase}"

    def _sure(self) -> str:
        if self._is_single:
            return ""
        low, high = self._amounts(self._selection)[1:]
        return f" ({_percent()} interval {low} to {high}, paired over {self._replicates.text}; {self._p()})"

    def _p(self) -> str:
        p, count, method = self._contest.p, self._contest.comparisons, (
            "Holm" if self._contest.against_none else "Bonferroni")
        shown = "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
        return shown if count == 1 else f"{shown} after {method}'s correction for {count:,} comparisons"

    def _needed(self) -> str:
        if self._replicates.noun != "seed" or self._contest.pair[self._selection].mean == 0:
            return ""
        if self._contest.needed is None:
            return "; more than 10,000 seeds would be needed to show a difference of that size"
        return f"; about {self._contest.needed:,} seeds would be needed to show a difference of that size"

    def _also(self) -> str:
        other = next(name for name in SIGNS if name != self._selection)
        measure, is_single = _MEASURES[other], self._is_single
        mean, low, high = self._amounts(other, signed=True)
        sure = "" if is_single else f" ({_percent()} interval {low} to {high})"
        return f"The difference in {measure.title} is {mean} {measure.unit}{sure}."

    def _amounts(self, name: str, signed: bool = False) -> tuple[str, str, str]:
        """Returns mean and interval of the difference, with as many decimals as give the half width two digits.

        Unless `signed`, the difference is given as a gain, and the mean has its unit.
        """
        difference, measure = self._contest.pair[name], _MEASURES[name]
        most = 1.0 if name == "accuracy" else math.inf  # No two accuracies differ by more.
        low, high = max(float(difference.low), -most), min(float(difference.high), most)
        mean = float(difference.mean)
        if not signed and SIGNS[name] > 0:
            mean, low, high = -mean, -high, -low
        size = float(difference.high - difference.mean)
        size = measure.scale * (size if math.isfinite(size) and size > 0 else abs(mean))
        decimals = min(max(1 - math.floor(math.log10(size)), 0), 8) if size > 0 else 2
        texts = [f"{round(measure.scale * value, decimals) + 0.0:{'+' if signed else ''}.{decimals}f}"  # No -0.
                 for value in (mean, low, high)]
        return texts[0] if signed else f"{texts[0]} {measure.unit}", texts[1], texts[2]


def _percent() -> str:
    return f"{100 * CONFIDENCE:.0f} %"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
