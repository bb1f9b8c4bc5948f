"""Cases, the sections that they are of, and running as many as the time allows."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import random
import shutil
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.faults.processes import Commands, Outcome
from tests.faults.verdicts import Verdict, Wrong


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing to try.

    Attributes:
      group: the row of the table that it counts in.
      name: what is done, in words; with `group` it is unique within the section.
      run: does it in an empty folder and returns what came of it, or raises `Wrong`.
    """

    group: str
    name: str
    run: Callable[[pathlib.Path, random.Random], Verdict]


@dataclasses.dataclass(frozen=True)
class Finding:
    """A case that was run: which, what came of it, how long it took, how to repeat it."""

    section: str
    case: Case
    verdict: Verdict
    seconds: float
    repeat: str


class Bench:
    """What the sections work with: a place, a seed, commands, and undisturbed runs to compare with.

    Attributes:
      folder: an empty place of the harness' own.
      commands: starts commands.
      workers: how many cases run at once.
    """

    def __init__(self, folder: pathlib.Path, seed: int, keep: bool = False, workers: int = 2) -> None:
        self.folder, self.seed, self.keep, self.workers = folder, seed, keep, workers
        self.commands = Commands(folder)
        self._made: dict[str, Any] = {}
        self._making: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count()

    def once(self, name: str, make: Callable[[pathlib.Path], Any]) -> Any:
        """What `make(folder)` returned, called once for each name, in a folder that stays."""
        with self._lock:
            lock = self._making.setdefault(name, threading.Lock())
        with lock:
            if name not in self._made:
                folder = self.folder / "made" / name.replace("/", "-")
                folder.mkdir(parents=True)
                self._made[name] = make(folder)
            return self._made[name]

    def scratch(self) -> pathlib.Path:
        """A new empty folder, which other users may enter."""
        folder = self.folder / "cases" / f"{next(self._numbers):05}"
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        return folder

    def run_case(self, section: str, case: Case) -> Finding:
        """Runs a case in a folder of its own, with chance of its own."""
        folder, began = self.scratch(), time.monotonic()
        rng = random.Random(zlib.crc32(f"{self.seed} {section} {case.group} {case.name}".encode()))
        try:
            verdict = case.run(folder, rng)
        except Wrong as error:
            verdict = Verdict("wrong", str(error))
        except Exception:  # The harness itself is at fault, or the disk full: no verdict on reglab, but no success.
            verdict = Verdict("wrong", f"the harness failed: {traceback.format_exc()[-600:]}")
        if not self.keep or verdict.kind != "wrong":
            shutil.rmtree(folder, ignore_errors=True)
        repeat = f"python -m tests.faults --seed={self.seed} --only={section} --case='{case.group}: {case.name}' --keep"
        return Finding(section, case, verdict, time.monotonic() - began, repeat)

    def run(self, section: str, cases: Sequence[Case], deadline: float, end: float,
            show: Callable[[Finding], None]) -> list[Finding]:
        """Runs cases, `workers` at once, until all are done or the deadline is near; `show` is told of each.

        What still runs at `end` is given up and not counted.
        """
        findings: list[Finding] = []
        queue, lock, longest = iter(cases), threading.Lock(), [1.0]

        def work() -> None:
            while time.monotonic() + longest[0] < deadline:
                with lock:
                    case = next(queue, None)
                if case is None:
                    return
                finding = self.run_case(section, case)
                with lock:
                    if time.monotonic() > end:
                        return
                    longest[0] = max(0.9 * longest[0], min(finding.seconds, 8.0))
                    findings.append(finding)
                    show(finding)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(self.workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, min(end - time.monotonic(), threading.TIMEOUT_MAX)))
        with lock:
            return list(findings)

    def must_succeed(self, outcome: Outcome) -> Outcome:
        """The outcome of a command that nothing disturbed.

        Raises:
          Wrong: it failed all the same.
        """
        if outcome.code != 0 or outcome.has_traceback:
            raise Wrong(f"undisturbed, {' '.join(outcome.argv)} ended with {outcome.code}: "
                        f"{(outcome.err or outcome.out)[-300:]}")
        return outcome


def shuffled(cases: Iterable[Case], seed: int) -> list[Case]:
    """The cases so that any first part of them is a fair sample: one of each group in turn, in random order."""
    rng = random.Random(seed)
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    for members in groups.values():
        rng.shuffle(members)
    order = list(groups.values())
    rng.shuffle(order)
    rounds = itertools.zip_longest(*order)
    return [case for members in rounds for case in members if case is not None]
