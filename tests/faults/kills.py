"""Kills: SIGKILL at a random moment, again and again; the same command must end with the bits of an undisturbed run."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import random
from typing import Final

from tests.faults.cases import Bench, Case
from tests.faults.moments import wait_for_moment
from tests.faults.subjects import COMPARE, FOLDS, PATH, SWEEP, TRAININGS, Subject
from tests.faults.trees import Decoys, leftovers
from tests.faults.verdicts import Verdict, Wrong, check_alive, differences

CHAINS: Final = 12
"""Of each subject."""


def cases(bench: Bench, full: bool = True) -> list[Case]:
    """Chains of kills for every kind of command that trains; in short, two trainings and no folds."""
    trainings = TRAININGS if full else random.Random(bench.seed).sample(TRAININGS, 2)
    return [Case(subject.name, f"chain {i}", functools.partial(_chain, bench, subject))
            for subject in (*trainings, SWEEP, PATH, COMPARE, *([FOLDS] if full else [])) for i in range(CHAINS)]


def _chain(bench: Bench, subject: Subject, folder: pathlib.Path, rng: random.Random) -> Verdict:
    reference = subject.reference(bench)
    wanted, kills = rng.randint(1, 6), 0
    decoys = None
    while True:
        process = bench.commands.start(subject.argv, cwd=folder)
        if kills < wanted and wait_for_moment(process, folder / "run", reference, rng):
            process.kill()
            kills += 1
            killed = process.wait(30)
            if killed.has_traceback:
                check_alive(dataclasses.replace(killed, code=0))
            if decoys is None and subject.kind != "compare" and _is_known(folder):
                decoys = Decoys(folder / "run", reference.folder)
            continue
        outcome = process.wait(90)
        break
    check_alive(outcome)
    was_done = kills and subject is COMPARE and outcome.code == 2 and "finished comparison" in outcome.err
    if outcome.code != 0 and not was_done:  # Killed at its very end, it has nothing left to do.
        raise Wrong(f"after {kills} kills exit code {outcome.code}: {(outcome.err or outcome.out)[-300:].strip()}")
    found = subject.read(bench, folder)
    if parts := differences(reference.tells, found):
        raise Wrong(f"after {kills} kills other than undisturbed: {', '.join(parts)}")
    if left := leftovers(folder / "run"):
        raise Wrong(f"after {kills} kills there are left {', '.join(left[:3])}")
    if decoys is not None:
        decoys.check()
    return Verdict("recovered", f"{kills} kills")


def _is_known(folder: pathlib.Path) -> bool:
    """Whether the folder is the command's own by now, so that a user's files in it do not make it a stranger's."""
    return any((folder / "run" / name).exists() for name in ("config.json", "plan.json"))
