"""Two processes of one folder, started 0 to 4 s apart: one does all the work, the other is refused, nothing is lost.

    python -m tests.faults.two_owners [pairs] [seed]
"""

from __future__ import annotations

import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from tests.faults.disk import COMPARE, SWEEP, finish, leftovers, start, weights

TRAIN = ["reglab.train", "--hidden=8", "--epochs=60", "--nojit", "--summary_every=10", "--checkpoint_every=50",
         "--seed=5"]
COMMANDS = {"train": TRAIN, "sweep": SWEEP, "compare": COMPARE}
LINE = re.compile(r"reglab: --model_dir=\S+ is in use by process (\d+) on \S+ since [\d: -]{19}: wait for it, [^\n]+\n")


class Pair(NamedTuple):
    """What two starts of one command came to; `problem` is empty where all is as it should be."""

    command: str
    seconds_apart: float
    codes: tuple[int, int]
    refused_after: float | None
    problem: str


def try_pair(name: str, seconds_apart: float, expected: object, folder: pathlib.Path) -> Pair:
    """Starts the command twice on a folder and compares what is there with the undisturbed result."""
    first = start(COMMANDS[name], folder)
    time.sleep(seconds_apart)
    began = time.monotonic()
    second = start(COMMANDS[name], folder)
    ends: dict[int, float] = {}
    while len(ends) < 2 and time.monotonic() - began < 300:
        ends.update({at: time.monotonic() - began for at, process in enumerate((first, second))
                     if at not in ends and process.poll() is not None})
        time.sleep(0.02)
    outcomes = [finish(process) for process in (first, second)]
    refused = [at for at, outcome in enumerate(outcomes) if outcome.code == 2]
    problem = ""
    if sorted(outcome.code for outcome in outcomes) not in ([0, 2], [0, 0]):
        problem = f"codes {[outcome.code for outcome in outcomes]}: {[outcome.error for outcome in outcomes]}"
    elif refused:
        told = LINE.fullmatch(outcomes[refused[0]].error)
        other = (second, first)[refused[0]]
        holds_result = name == "compare" and "already holds a finished comparison" in outcomes[refused[0]].error
        if not holds_result and (told is None or int(told[1]) != other.pid):
            problem = f"the line: {outcomes[refused[0]].error!r}"
    if not problem and weights(folder) != expected:
        problem = "what was written is not that of one undisturbed process"
    if not problem and leftovers(folder):
        problem = f"left: {leftovers(folder)}"
    codes = (outcomes[0].code, outcomes[1].code)
    return Pair(name, seconds_apart, codes, ends[refused[0]] if refused else None, problem)


def try_pairs(count: int, seed: int = 0) -> list[Pair]:
    """So many pairs, from 0 to 4 s apart, of each command in turn."""
    chance, names = random.Random(seed), list(COMMANDS)
    with tempfile.TemporaryDirectory() as made:
        root, expected = pathlib.Path(made), {}
        for name in names[:count]:
            outcome = finish(start(COMMANDS[name], root / name))
            assert outcome.code == 0, outcome
            expected[name] = weights(root / name)
        pairs = []
        for at in range(count):
            name, apart = names[at % len(names)], chance.choice([0.0, 0.02, chance.uniform(0, 4)])
            pairs.append(try_pair(name, apart, expected[name], root / f"{name}-{at}"))
            print(json.dumps(pairs[-1]._asdict()), flush=True)
        return pairs


def default_folders(count: int) -> list[str]:
    """The problem, if any, of so many starts at once of a command that names its folder itself."""
    with tempfile.TemporaryDirectory() as made:
        root = pathlib.Path(made)
        command = [sys.executable, "-m", *TRAIN, "--epochs=1", "--hidden="]
        started = [subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                   for _ in range(count)]
        outcomes = [finish(process) for process in started]
        runs = [path for path in (root / "runs").iterdir() if (path / "result.json").exists()]
        wrong = [outcome.error for outcome in outcomes if outcome.code]
        return wrong if wrong or len(runs) == count else [f"{len(runs)} folders of {count} runs"]


if __name__ == "__main__":
    pairs = try_pairs(int(sys.argv[1]) if len(sys.argv) > 1 else 100, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    lost = [pair for pair in pairs if pair.problem] + default_folders(2)  # type: ignore[operator]
    print(f"{len(pairs)} pairs, {sum(2 in pair.codes for pair in pairs)} refused, {len(lost)} wrong")
    sys.exit(4 if lost else 0)
