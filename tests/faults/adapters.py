"""The sections with a form of their own: `signals.run(tries, seed, folder)` and `python -m tests.faults.long`.

A case is many tries of signals, since their set-up is shared; `signal_report` tells of them by phase.
"""

from __future__ import annotations

import collections
import functools
import importlib
import pathlib
import random
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from tests.faults.cases import Bench, Case
from tests.faults.verdicts import Verdict, Wrong

SIGNAL_TRIES: Final = 250
LONG_STEPS: Final = 1_000_000
_COUNTS: Final = ("tried", "saved", "nothing_yet", "wrong")


def signal_cases(bench: Bench, full: bool) -> list[Case]:
    """Signals at every moment: 250 tries, each case with a seed of its own."""
    module = _module("signals")
    if module is None:
        return []
    tries = 25 if full else 3
    return [Case("signals", f"{tries} tries, part {i}", functools.partial(
        _signals, bench, module, tries, bench.seed * 1000 + i)) for i in range(SIGNAL_TRIES // tries)]


def long_cases(bench: Bench, full: bool) -> list[Case]:
    """A million steps, in the full form alone."""
    module = _module("long")
    if module is None or not full:
        return []
    return [Case("long", f"{LONG_STEPS:,} steps", functools.partial(_long, bench))]


def signal_report(bench: Bench) -> str:
    """What became of the signals, by phase and signal; empty if none was sent."""
    sums: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for row in _rows(bench):
        sums[_field(row, "phase", 0), _field(row, "signal", 1)].update(
            {name: int(_field(row, name, 2 + at)) for at, name in enumerate(_COUNTS)})
    if not sums:
        return ""
    width = max(len(f"{phase}, {name}") for phase, name in sums)
    lines = [f"{'':{width}}" + "".join(f"  {name.replace('_', ' '):>11}" for name in _COUNTS)]
    lines += [f"{f'{phase}, {name}':{width}}" + "".join(f"  {counts[of]:>11}" for of in _COUNTS)
              for (phase, name), counts in sums.items()]
    return "\n".join(lines)


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"tests.faults.{name}")
    except ModuleNotFoundError:
        return None


def _rows(bench: Bench) -> list[Any]:
    return bench.once("rows of signals", lambda folder: [])


def _signals(bench: Bench, module: ModuleType, tries: int, seed: int, folder: pathlib.Path, rng: random.Random
             ) -> Verdict:
    rows = module.run(tries, seed, folder)
    _rows(bench).extend(rows)
    if wrong := [row for row in rows if int(_field(row, "wrong", 5))]:
        raise Wrong("; ".join(map(str, wrong)))
    return Verdict("recovered", f"{sum(int(_field(row, 'tried', 2)) for row in rows)} signals")


def _long(bench: Bench, folder: pathlib.Path, rng: random.Random) -> Verdict:
    """In a process of its own: it looks at what that holds, and ends with 4 if anything grew."""
    outcome = bench.commands.run_fresh(["tests.faults.long", str(LONG_STEPS)], cwd=folder, timeout=3600)
    if outcome.code != 0:
        raise Wrong(f"exit code {outcome.code}: {' | '.join(outcome.lines[-4:])}")
    return Verdict("recovered", " | ".join(outcome.lines[-2:]))


def _field(row: Any, name: str, at: int) -> Any:
    """A field of a row, which may be a mapping, an object or a tuple."""
    if isinstance(row, Mapping):
        return row.get(name, 0)
    return getattr(row, name) if hasattr(row, name) else row[at]
