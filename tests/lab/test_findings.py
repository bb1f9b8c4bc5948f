"""What is said of made results whose right sentences are known, and every number in a sentence by SciPy."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest
from scipy import stats

from reglab.lab.contest import Option, Replicates
from reglab.lab.findings import find

SEEDS = Replicates("5 seeds on one split")
BASE = np.array([0.30, 0.32, 0.28, 0.31, 0.29])
NOISE = np.array([0.002, -0.001, 0.0, 0.001, -0.002])


def option(name: str, shift: float, noise: np.ndarray = NOISE, base: np.ndarray = BASE) -> Option:
    """Data loss `shift` above the base, accuracy a half of it below; no name is no penalty."""
    loss = base + shift + (0 if not name else noise)
    return Option(name, not name, loss, 1 - loss / 2)


def best_of(options: list[Option]) -> int:
    return int(np.argmin([one.data_loss.mean() for one in options]))


def say(*options: Option, replicates: Replicates = SEEDS, **more: Any) -> tuple[str, list[str]]:
    found = find(options, best_of(list(options)), replicates, **more)
    json.dumps(found, allow_nan=False)
    return found["title"], found["sentences"]


def test_no_difference() -> None:
    title, sentences = say(option("", 0), option("L1 alone", 0), option("L2 alone", 0, -NOISE))
    assert title.startswith("No penalty tested is better than none")
    assert sentences[0].startswith("No penalty tested is better than none")
    assert len(sentences) == 2


def test_exactly_the_same() -> None:
    title, sentences = say(option("", 0), option("L1 alone", 0, 0 * NOISE))
    assert title == "No penalty tested is better than none, as far as 5 seeds on one split can tell"
    assert sentences == [
        "No penalty tested is better than none, as far as 5 seeds on one split can tell: without a penalty the "
        "validation data loss is lowest, 0.3000 nats, the same as with the best penalty, L1 alone (95 % interval 0.00 "
        "to 0.00, paired over 5 seeds on one split; p = 1).",
        "The difference in validation accuracy is +0.00 percentage points (95 % interval +0.00 to +0.00)."]


def test_a_clear_winner() -> None:
    title, sentences = say(option("", 0), option("L1 alone", -0.1), option("L2 alone", 0.05), option("L1 and L2", -0.2))
    assert title == "Validation data loss is lowest with L1 and L2, 0.2000 nats lower than without a penalty"
    assert sentences == [
        "With L1 and L2 the validation data loss is lowest, 0.1000 nats, 0.2000 nats lower than without a penalty (95 "
        "% interval 0.1980 to 0.2020, paired over 5 seeds on one split; p < 0.0001 after Holm's correction for 3 "
        "comparisons).",
        "The difference in validation accuracy is +10.000 percentage points (95 % interval +9.902 to +10.098).",
        "L1 alone is better than none too; L2 alone is not shown to be better than none."]


def test_no_penalty_wins() -> None:
    title, sentences = say(option("", 0), option("L1 alone", 0.1), option("L2 alone", 0.05))
    assert title == "No penalty tested is better than none"
    assert sentences[0] == (
        "No penalty tested is better than none: without a penalty the validation data loss is lowest, 0.3000 nats, "
        "0.0500 nats lower than with the best penalty, L2 alone (95 % interval 0.0480 to 0.0520, paired over 5 seeds "
        "on one split; p < 0.0001 after Holm's correction for 2 comparisons).")
    assert len(sentences) == 2


def test_no_penalty_that_wins_by_chance_only() -> None:
    """That none is lowest is measured; that no penalty is better is not shown, as the interval has room for one."""
    title, sentences = say(option("", 0), option("L1 alone", 0.0005))
    assert title == "No penalty tested is better than none, as far as 5 seeds on one split can tell"
    assert sentences[0].startswith(f"{title}: without a penalty the validation data loss is lowest, 0.3000 nats, ")
    assert "(95 % interval -0.0015 to 0.0025, " in sentences[0]


@pytest.mark.parametrize(("scale", "is_shown"), [(1.001, True), (0.999, False)])
def test_a_tie_at_the_edge(scale: float, is_shown: bool) -> None:
    """An interval that just holds 0, or just does not: the sentence turns over exactly there."""
    half_width = stats.t.ppf(0.975, 4) * stats.sem(NOISE)
    title, sentences = say(option("", 0), option("L1 alone", -scale * half_width))
    shown = re.search(r"interval (\S+) to", sentences[0])
    assert shown is not None and abs(float(shown[1])) < 1e-4
    assert sentences[0].startswith("With L1 alone" if is_shown else "No penalty tested is better than none, as far as "
                                                                    "5 seeds on one split can tell: with L1 alone")
    assert title == ("Validation data loss is lowest with L1 alone, 0.0020 nats lower than without a penalty"
                     if is_shown else "No penalty tested is better than none, as far as 5 seeds on one split can tell")
    assert ("seeds would be needed" in sentences[0]) == (not is_shown)


def test_an_interval_beside_0_that_holms_correction_does_not_let_pass() -> None:
    half_width = stats.t.ppf(0.975, 4) * stats.sem(NOISE)
    _, sentences = say(option("", 0), option("L1 alone", -1.001 * half_width), option("L2 alone", 0))
    assert sentences[0].startswith("No penalty tested is better than none, as far as")
    assert "p = 0.1 after Holm's correction for 2 comparisons" in sentences[0]


def test_another_is_shown_to_be_better_than_the_best() -> None:
    wild = np.array([0.3, -0.3, 0.1, -0.2, 0.1])
    title, sentences = say(option("", 0), option("L1 alone", -0.12, wild), option("L2 alone", -0.1))
    assert title == "Validation data loss is lowest with L1 alone, but that may be chance"
    assert "which is not shown to be better than none; about" in sentences[0]
    assert sentences[2] == "L2 alone is better than none."


def test_one_seed() -> None:
    title, sentences = say(Option("", True, np.array([0.3]), np.array([0.9])),
                           Option("L1 alone", False, np.array([0.25]), np.array([0.925])),
                           replicates=Replicates("1 seed on one split"))
    assert title == "Validation data loss is lowest with L1 alone (one seed)"
    assert sentences == [
        "With L1 alone the validation data loss is lowest, 0.2500 nats, 0.050 nats lower than without a penalty; one "
        "seed gives no interval, so this may be chance.",
        "The difference in validation accuracy is +2.5 percentage points."]


def test_nothing_is_left() -> None:
    found = find([], None, SEEDS, remarks=["no penalty diverged", "L1 alone diverged"])
    assert (found["title"], found["sentences"]) == (
        "Nothing was found", ["Nothing was found: no penalty diverged; L1 alone diverged."])


def test_remarks_end_it_with_a_capital() -> None:
    assert say(option("", 0), option("L1 alone", 0.1), remarks=["l1 = 9 diverged", "b"])[1][-1] == "L1 = 9 diverged; b."


def test_one_option_alone() -> None:
    assert say(option("l1 = 0.001", 0))[1] == [
        "With l1 = 0.001 the validation data loss is 0.3000 nats; there is nothing to compare it with."]


def test_many_penalties_are_counted() -> None:
    options = [option("", 0), *(option(f"l1 = {k}", shift) for k, shift in enumerate((-0.3, -0.2, -0.1, 0.1, 0.2)))]
    assert say(*options)[1][2] == "Of the 4 other penalties 2 are shown to be better than none."


def test_by_accuracy_the_highest_wins() -> None:
    options = [option("", 0), option("L1 alone", -0.1)]
    found = find(options, 1, SEEDS, selection="accuracy")
    assert found["title"] == ("Validation accuracy is highest with L1 alone, 5.000 percentage points higher than "
                              "without a penalty")
    assert found["sentences"][0].startswith("With L1 alone the validation accuracy is highest, 90.00 %, 5.000 "
                                            "percentage points higher than without a penalty (95 % interval 4.902 to "
                                            "5.098, ")
    assert found["sentences"][1].startswith("The difference in validation data loss is -0.1000 nats (95 % interval "
                                            "-0.1020 to -0.0980)")


def test_intervals_of_accuracies_end_where_accuracies_do() -> None:
    none = Option("", True, BASE[:2], np.array([0.0, 0.02]))
    some = Option("L1", False, BASE[:2] - [0.1, 0.11], np.array([1.0, 0.96]))
    _, sentences = say(none, some, replicates=Replicates("2 seeds on one split"))
    assert "to +100 " in sentences[1] or "to +100)" in sentences[1]


def test_without_none_the_best_is_compared_with_the_next_and_all_pairs_count() -> None:
    """The reference is chosen by the data, so Bonferroni's correction counts every pair that might have been chosen."""
    options = [option(f"l1 = {k}", shift, k * NOISE[::-1]) for k, shift in enumerate((0.01, 0.0, 0.002, 0.3), 1)]
    found = find(options, 1, SEEDS)
    pvalue = stats.ttest_rel(options[1].data_loss, options[2].data_loss).pvalue
    assert (found["comparisons"], found["p"]) == (6, pytest.approx(min(1, 6 * pvalue)))
    assert "than with the next best, l1 = 3 (95 % interval" in found["sentences"][0]
    assert "after Bonferroni's correction for 6 comparisons" in found["sentences"][0]


def test_several_without_a_penalty_count_as_choices() -> None:
    options = [Option("at learning rate 0.1", True, BASE, 1 - BASE),
               Option("at learning rate 0.2", True, BASE + 0.1, 1 - BASE),
               option("l1 = 1", -0.004), option("l1 = 2", 0.01)]
    found = find(options, 2, SEEDS)
    twice = [min(1, 2 * stats.ttest_rel(one.data_loss, BASE).pvalue) for one in options[2:]]
    assert found["comparisons"] == 4
    assert [entry["corrected"] for entry in found["tested"]] == pytest.approx(holm_by_hand(twice))
    assert "than without a penalty at learning rate 0.1 (" in found["sentences"][0]


def by_scipy(options: list[Option], best: int, reference: int, name: str) -> tuple[Any, ...]:
    """Mean, ends and p of best − reference."""
    test = stats.ttest_rel(getattr(options[best], name), getattr(options[reference], name))
    ends = test.confidence_interval(0.95)
    return (getattr(options[best], name) - getattr(options[reference], name)).mean(), ends.low, ends.high, test.pvalue


@pytest.mark.parametrize("seed", range(20))
def test_every_number_in_a_sentence_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base, count = rng.normal(0.3, 0.02, 4 + seed % 3), 4 + seed % 3
    options = [Option("" if at == 0 else f"arm {at}", at == 0, base + rng.normal(-0.003 * at, 0.005, count),
                      0.9 - base / 9 + rng.normal(0, 0.003, count)) for at in range(4)]
    best = best_of(options)
    found = find(options, best, Replicates(f"{count} seeds on one split"))
    reference = 0 if best else 1 + best_of(options[1:])
    first = found["sentences"][0]
    loss, accuracy = (by_scipy(options, best, reference, name) for name in ("data_loss", "accuracy"))
    for name, expected in (("data_loss", loss), ("accuracy", accuracy)):
        assert list(found["difference"][name].values()) == pytest.approx(list(expected), rel=1e-9)
    corrected = holm_by_hand([stats.ttest_rel(one.data_loss, options[0].data_loss).pvalue for one in options[1:]])
    p = corrected[(best or reference) - 1]
    said = re.search(r"lowest, (\S+) nats, (\S+) nats lower .* interval (\S+) to (\S+), paired .*; "
                     r"p (?:= (\S+)|< 0.0001) after Holm's correction for (\d+) comparisons", first)
    assert said is not None
    decimals = len(said[2].partition(".")[2])
    assert said.group(1) == f"{options[best].data_loss.mean():.4f}"
    assert said.group(2, 3, 4) == tuple(f"{value:.{decimals}f}" for value in (-loss[0], -loss[2], -loss[1]))
    assert 10 <= round((loss[2] - loss[1]) / 2 * 10**decimals) <= 100
    assert p < 1e-4 if said[5] is None else said[5] == f"{p:.2g}"
    assert said[6] == "3"
    digits = re.findall(r"[+-]\d+\.\d+", found["sentences"][1])
    decimals = len(digits[0].partition(".")[2])
    assert digits == [f"{100 * value:+.{decimals}f}" for value in accuracy[:3]]
    if "would be needed" in first:
        needed = re.search(r"about ([\d,]+) seeds", first)
        deviation = (options[best].data_loss - options[reference].data_loss).std(ddof=1)
        assert needed is not None
        check_needed(int(needed[1].replace(",", "")), abs(loss[0]) / deviation)


def holm_by_hand(pvalues: list[float]) -> list[float]:
    order, corrected, largest = sorted(range(len(pvalues)), key=lambda at: pvalues[at]), [0.0] * len(pvalues), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(pvalues) - rank) * pvalues[at]))
        corrected[at] = largest
    return corrected


def check_needed(seeds: int, effect: float) -> None:
    """The power of the test at 5 % over three comparisons is 80 % for `seeds`, and less for one fewer."""
    powers = [stats.nct.sf(stats.t.ppf(1 - 0.05 / 6, n - 1), n - 1, math.sqrt(n) * effect) for n in (seeds - 1, seeds)]
    assert powers[0] < 0.8 <= powers[1]
