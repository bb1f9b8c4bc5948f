"""Owners: two starts of one command on one folder, up to four seconds apart. One does the work, one is refused."""

from __future__ import annotations

import functools
import pathlib
import random
import socket
import time
from typing import Final

from tests.faults.cases import Bench, Case
from tests.faults.processes import Outcome, Process
from tests.faults.subjects import COMPARE, LONG, PATH, SWEEP, TRAIN, Subject
from tests.faults.trees import leftovers
from tests.faults.verdicts import FOLDER_NAMES, Verdict, Wrong, check_alive, check_refusal, differences

STARTS: Final = ((LONG, 40), (SWEEP, 25), (COMPARE, 20), (PATH, 15))
EXPORTS: Final = 15
REFUSAL_CPU: Final = 1.5
"""Seconds of processor time that a refusal may take; TensorFlow is there already."""


def cases(bench: Bench, full: bool = True) -> list[Case]:
    """Starts of two at once; every fifth of fresh processes, which import everything themselves."""
    found = [Case(subject.name, f"two starts {i}{', fresh' if i % 5 == 4 else ''}",
                  functools.partial(_two, bench, subject, i % 5 == 4 and full))
             for subject, count in STARTS[:4 if full else 3] for i in range(count)]
    return found + [Case("export", f"two starts {i}", functools.partial(_two_exports, bench)) for i in range(EXPORTS)]


def _two(bench: Bench, subject: Subject, fresh: bool, folder: pathlib.Path, rng: random.Random) -> Verdict:
    reference = subject.reference(bench)
    start = bench.commands.start_fresh if fresh else bench.commands.start
    delay = rng.choice((0, rng.uniform(0, 0.3), rng.uniform(0, 4), rng.uniform(0, reference.first.seconds)))
    first = start(subject.argv, cwd=folder)
    time.sleep(delay)
    second, began = start(subject.argv, cwd=folder), time.monotonic()
    outcomes = [process.wait(120) for process in (first, second)]
    try:
        startup = subject.again(bench).seconds + (7 if fresh else 1)
        in_turn = began > first.end_time - startup and subject.kind != "compare"
        line = _check_ends([first, second], outcomes, in_turn, REFUSAL_CPU + (15 if fresh else 0))
        if parts := differences(reference.tells, subject.read(bench, folder)):
            raise Wrong(f"other than undisturbed: {', '.join(parts)}")
        if left := leftovers(folder / "run"):
            raise Wrong(f"there are left {', '.join(left[:3])}")
    except Wrong as error:
        raise Wrong(f"{delay:.2f} s apart, {error}") from None
    return Verdict("refused" if line else "recovered", line)


def _check_ends(processes: list[Process], outcomes: list[Outcome], in_turn: bool, cpu: float) -> str:
    """The line of the one that was refused, which names process and host of the other while that is at work.

    Args:
      in_turn: whether the second may have begun when the first was done; then there need be none.
    """
    for outcome in outcomes:
        check_alive(outcome)
    codes = [outcome.code for outcome in outcomes]
    if codes == [0, 0] and in_turn:
        return ""
    if codes.count(0) != 1:
        raise Wrong(f"exit codes {codes}: {' | '.join(outcome.err.strip()[-200:] for outcome in outcomes)}")
    which = 1 - codes.index(0)
    loser, other = outcomes[which], processes[1 - which]
    line = check_refusal(loser, names=FOLDER_NAMES)
    if other.end_time <= processes[which].end_time:
        return line  # What the finished folder holds is reason enough.
    for text in (str(other.pid), socket.gethostname()):
        if text not in line:
            raise Wrong(f"names not {text}, the other's {'process' if text.isdigit() else 'host'}: {line}")
    if loser.cpu > cpu:
        raise Wrong(f"refused only after {loser.cpu:.1f} s of processor time: {line}")
    return line


def _two_exports(bench: Bench, folder: pathlib.Path, rng: random.Random) -> Verdict:
    run = TRAIN.reference(bench).folder / "run"
    name = rng.choice(("a.npz", "a.keras", "saved"))
    argv = ["reglab.export", f"--model_dir={run}", f"--output={name}"]
    first = bench.commands.start(argv, cwd=folder)
    time.sleep(rng.choice((0, rng.uniform(0, 0.5))))
    outcomes = [first.wait(60), bench.commands.run(argv, cwd=folder)] if rng.random() < 0.1 else \
        [process.wait(60) for process in (first, bench.commands.start(argv, cwd=folder))]
    for outcome in outcomes:
        check_alive(outcome)
    refused = [outcome for outcome in outcomes if outcome.code != 0]
    if len(refused) != 1:
        raise Wrong(f"{len(refused)} of two were refused: {' | '.join(o.err.strip() for o in refused)}")
    line = check_refusal(refused[0], names=(name,))
    if not (folder / name).exists() or leftovers(folder):
        raise Wrong(f"{name} is not alone there: {sorted(path.name for path in folder.iterdir())}")
    return Verdict("refused", line)
