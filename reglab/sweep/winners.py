"""Trains the chosen points once more, alone, and evaluates the best of them on the test part, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from reglab.config import Config
from reglab.console import Console
from reglab.console.format import number, percent
from reglab.data import Dataset
from reglab.evaluate.evaluating import look
from reglab.evaluate.looks import note_look, read_looks
from reglab.evaluate.report import title
from reglab.evaluate.subject import find_subject
from reglab.run.loop import Diverged, fit
from reglab.signals.stop import StopRequest
from reglab.storage.files import writing
from reglab.sweep.files import SweepFolder
from reglab.sweep.plan import Plan, lane_of
from reglab.sweep.progress import Stopped
from reglab.trained.source import read_source

WINNERS: Final = {"best": "winner", "one_standard_error": "winner_1se"}
NO_TEST: Final = "The data have no test part, so how optimistic the validation of the choice is remains unknown."


def train_winners(plan: Plan, result: Mapping[str, Any], folder: SweepFolder, data: Dataset | None,
                  console: Console, stop: StopRequest) -> dict[str, dict[str, Any]]:
    """Trains the points that `result` has under the names of `WINNERS` as runs; returns the `result.json` of each.

    Raises:
      Stopped, Interrupted: a stop signal arrived.
    """
    winners: dict[str, dict[str, Any]] = {}
    for which, name in WINNERS.items():
        at = result.get(which)
        if at is None:
            continue
        if winners and at == result["best"]:
            winners[which] = winners["best"]
            continue
        if stop:
            raise Stopped(stop.name, len(plan.chunks), len(plan.chunks), "chunks")
        console.message(f"Training {name} alone ({which.replace('_', ' ')}) ...")
        try:
            winners[which] = fit(_config_of(plan, at, folder, name), data, console=_WarningsOnly(console)).result
        except Diverged as error:  # Its lanes did not: at the edge of stability rounding decides.
            console.warning(f"{name}: {error}")
    return winners


def _config_of(plan: Plan, at: int, folder: SweepFolder, name: str) -> Config:
    return dataclasses.replace(lane_of(plan.grid.points[at], plan.shared.seed).config(plan.shared),
                               model_dir=str(folder.path / name), resume="auto")


def tested_winner(winners: Mapping[str, Mapping[str, Any]], folder: SweepFolder, dataset: Dataset
                  ) -> dict[str, Any] | None:
    """Evaluates the best point's run on the test part; returns JSON values, or None if there is no such run.

    "optimism" is validation − test of the run's network after its last step, in data loss and in accuracy. Without a
    test part there is only the "sentence". The look is noted in the folder of each winner.
    """
    best = winners.get("best")
    if dataset.test is None or best is None:
        return None if best is None else {"sentence": NO_TEST}
    place = folder.path / WINNERS["best"]
    subject = find_subject(place, read_source(place), dataset, split="test")
    done = look(place, subject, state="last", by="reglab.sweep", once=True).result
    _note_in_others(folder, winners, done["digest"])
    test, validation = ({"data_loss": done["data_loss"], "accuracy": done["accuracy"]["value"]}, best["validation"])
    known = all(value is not None for value in test.values())
    optimism = {name: validation[name] - test[name] for name in test} if known else None
    found = {"run": WINNERS["best"], "state": done["state"], "step": done["step"], "examples": done["examples"],
             "data": done["data"], "split": done["split"], "digest": done["digest"], "accuracy": done["accuracy"],
             "data_loss": done["data_loss"], "validation": {name: validation[name] for name in test},
             "optimism": optimism}
    return {**found, "sentence": _sentence(found)}


def _sentence(found: Mapping[str, Any]) -> str:
    accuracy, validation, optimism = found["accuracy"], found["validation"], found["optimism"]
    lead = (f"On {title(found)}, looked at this once, the winner is right on {percent(accuracy['value'])} "
            f"({100 * accuracy['confidence']:.0f} % interval {100 * accuracy['low']:.2f} to "
            f"{100 * accuracy['high']:.2f} %), with a data loss of {number(found['data_loss'])} nats")
    if optimism is None:
        return f"{lead}."
    return (f"{lead}; on the validation part, which chose it, {percent(validation['accuracy'])} and "
            f"{number(validation['data_loss'])} nats. The optimism of the choice (validation - test) is "
            f"{100 * optimism['accuracy']:+.2f} percentage points and {number(optimism['data_loss'], sign='+')} nats.")


def _note_in_others(folder: SweepFolder, winners: Mapping[str, Any], digest: str) -> None:
    """Notes the look in the folders of the other winners too: whoever evaluates these then looks a second time."""
    noted = next(one for one in read_looks(folder.path / WINNERS["best"]) if one["digest"] == digest)
    for name in WINNERS.values():
        place = folder.path / name
        if name != WINNERS["best"] and (place / "config.json").exists():
            with writing(place):
                if noted not in read_looks(place):
                    note_look(place, noted)


class _WarningsOnly(Console):
    """Passes on the warnings of a winner's run and shows nothing else of it."""

    def __init__(self, console: Console) -> None:
        self.warning = console.warning  # type: ignore[method-assign]
