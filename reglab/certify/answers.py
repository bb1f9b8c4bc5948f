"""A certificate in words: its table, what else moves the weights, and whether they are sparse or just under-trained."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from reglab.certify.certificate import Certificate
from reglab.certify.stationarity import NEAR, Distance, over_all
from reglab.config.strengths import is_zero
from reglab.console.format import number, percent, trained_loss
from reglab.core import penalties
from reglab.core.terms import SPARSITY_THRESHOLD

_MOST_MOVING: Final = 0.05
"""Training counts as settled if at most this part of the penalized entries is not within `NEAR` of the strength."""
_MOST_SHOWN: Final = 20


def lines_of(found: Certificate) -> Iterator[str]:
    """Yields a certificate as lines of text."""
    told, terms = found.evaluation, [name for name in penalties.names() if name in found.evaluation.train]
    loss = trained_loss(told.train) or "data_loss"
    parts = "".join(f" + {name} {number(told.train[name])}" for name in terms)
    yield (f"Objective   {number(told.train['total'])} = {loss.replace('_', ' ')} {number(told.train[loss])}{parts}, "
           "over the whole training part")
    yield (f"Validation  data loss {number(told.validation['data_loss'])}, accuracy "
           f"{percent(told.validation['accuracy'])}")
    yield (f"Sparsity    {percent(found.zeros)} of the kernel entries are exactly zero, "
           f"{percent(told.weights['sparsity/total'])} are within {SPARSITY_THRESHOLD:g} of zero")
    yield from ("", *_table(found), "")
    for sentence in cautions(found):
        yield from _wrapped("Caution", sentence)
    yield from _wrapped("Figures", figures(found))
    yield from (f"  {mismatch}" for mismatch in found.mismatches[:_MOST_SHOWN])
    if len(found.mismatches) > _MOST_SHOWN:
        yield f"  and {len(found.mismatches) - _MOST_SHOWN:,} more, which --json lists"
    yield from _wrapped("Answer", answer(found))


def _wrapped(label: str, sentence: str) -> list[str]:
    return textwrap.wrap(f"{label:<12}{sentence}", 120, subsequent_indent=" " * 12, break_on_hyphens=False)


def _table(found: Certificate) -> Iterator[str]:
    yield "Distance of each entry from a stationary point of the objective, by the gradient of the whole training part:"
    wide = max(map(len, found.distances))
    yield f"  {'':{wide}}     lambda    largest       mean  within {NEAR:g} lambda  exactly 0 and within"
    for path, one in found.distances.items():
        shares = ["" if share is None else percent(share) for share in (one.within, one.settled_zeros)]
        strength = "" if one.strength is None else number(one.strength)
        yield (f"  {path:{wide}}{strength:>11}{number(one.largest):>11}{number(one.mean):>11}"
               f"{shares[0]:>20}{shares[1]:>22}").rstrip()


def figures(found: Certificate) -> str:
    """Says how many figures were compared, and whether they hold."""
    places: dict[str, int] = {}
    for file, count in found.compared.items():
        folder, _, name = file.partition("/")
        place = f"{folder}/" if name.startswith("events.") else file
        places[place] = places.get(place, 0) + count
    compared = ", ".join(f"{count:,} of {place}" for place, count in places.items()) or "none"
    verdict = "all hold" if found.holds else f"{len(found.mismatches):,} DO NOT HOLD"
    return f"{verdict}, of those that were compared: {compared}"


def cautions(found: Certificate) -> list[str]:
    """Returns what else moved the weights, so that they need not end at a stationary point of the objective."""
    config, told = found.network.config, []
    if found.clipped:
        told.append(f"--clip_norm={config.clip_norm:g} still shortens the gradient of {percent(found.clipped)} of the "
                    "last batches, each by its own factor: the weights solve another problem than the objective.")
    if config.resolved_weight_decay:
        told.append(f"Decoupled weight decay of {config.resolved_weight_decay:g} is no part of the objective, and "
                    "keeps the weights away from its stationary points.")
    if config.debias_epochs and found.evaluation.epoch > config.epochs - config.debias_epochs:
        told.append(f"In the last {config.debias_epochs:,} epochs zeros are held and penalties with a kink are off "
                    "(--debias_epochs); distances are those of what is minimized then.")
    if found.network.model.draws:
        told.append(f"Training minimizes the mean over --dropout={config.dropout:g}; distances are those without it.")
    if found.network.model.couples_examples:
        told.append("Training normalizes by the statistics of each batch; distances are those with the kept averages.")
    if config.ema is not None:
        told.append("The average of the weights is what is evaluated, and it need not be where training stands.")
    return told


def answer(found: Certificate) -> str:
    """Answers in a sentence or two: sparse, or just under-trained?"""
    penalized = {path: one for path, one in found.distances.items() if one.strength is not None}
    if not penalized:
        largest = max((one.largest for one in found.distances.values()), default=0.0)
        return f"Nothing is penalized, so nothing makes zeros; the largest entry of the gradient is {number(largest)}."
    zeros, nearly, moving = (over_all(penalized, found.sizes, name) or 0.0
                             for name in ("settled_zeros", "nearly_zeros", "moving"))
    farthest = max(one.largest / _of(one) for one in penalized.values())
    still = (f"{percent(moving)} of the penalized entries are further than {NEAR:g} lambda from a stationary point, "
             f"the farthest {number(farthest)} lambda")
    if moving > _MOST_MOVING:
        ahead = f"; {percent(zeros)} are exactly 0 and settled, {percent(nearly)} would be if they were exactly 0" \
            if _has_kink(found) else ""
        also = "" if found.network.config.proximal or not _has_kink(found) else "; --proximal makes exact zeros"
        return f"Under-trained: {still}{ahead}. Train longer, or with a rate that falls{also}."
    if not _has_kink(found):
        return f"Trained, and not sparse, since no penalty here makes zeros: {still}."
    if nearly > zeros:
        return (f"Trained, but small where it should be sparse: {percent(nearly)} of the penalized entries would stay "
                f"at 0 if they were exactly 0, and a subgradient never makes them so, but --proximal does; "
                f"{percent(zeros)} are; {still}.")
    return f"Sparse: {percent(zeros)} of the penalized entries are exactly 0, and will stay so; {still}."


def _has_kink(found: Certificate) -> bool:
    return any(not penalties.get(name).is_smooth and not is_zero(strength)
               for name, strength in found.network.config.strengths.items())


def _of(one: Distance) -> float:
    assert one.strength, "only what is penalized has a distance in units of lambda"
    return one.strength
