"""Damage: every file and folder that a command leaves, in every way (`ways.py`); then the same command, and export."""

from __future__ import annotations

import concurrent.futures
import functools
import pathlib
import random
import signal
import time
from typing import Final

from tests.faults import restart, units
from tests.faults.cases import Bench, Case
from tests.faults.export import certify_judged, export_judged
from tests.faults.processes import Outcome
from tests.faults.subjects import COMPARE, FOLDS, OTHER, PATH, SWEEP, TRAIN, Subject
from tests.faults.trees import Decoys, check_untouched, copy, fingerprint, remove, tree
from tests.faults.verdicts import FOLDER_NAMES, Damage, Verdict, Wrong, check_alive, check_refusal, judge, names_of
from tests.faults.ways import UNREADABLE, Way, ways_of

HANG: Final = 30.0
"""Seconds; what is run here takes one or two."""
_HALF_AT: Final = {"run": "checkpoints/ckpt-14.index", "sweep": "chunks/chunk-001.json", "path": "chunks/*001.json"}
_VITAL: Final = ("last", "winner/last", "sweep.json", "path.json", "compare.json")


def cases(bench: Bench, full: bool = True) -> list[Case]:
    """All damages of all folders. Makes the folders first, to see what is in them."""
    states = [(TRAIN, "half"), (SWEEP, "half"), (TRAIN, "finished"), (SWEEP, "finished"), (COMPARE, "finished"),
              *([(PATH, "half"), (PATH, "finished"), (FOLDS, "half")] if full else [])]
    with concurrent.futures.ThreadPoolExecutor(bench.workers) as pool:
        lent = pool.submit(OTHER.reference, bench)
        templates = list(pool.map(lambda of: _template(bench, *of), states))
        lender = lent.result().folder / "run"
    found = []
    for (subject, state), template in zip(states, templates, strict=True):
        for target, way_name, way in [*_single(template), *units.of(template, lender if subject is TRAIN else None)]:
            name = f"{stable(template / target, template)} {way_name}"
            found.append(Case(f"{subject.name}, {state}", name, functools.partial(
                _damage, bench, subject, state, target, way_name, way)))
    return found + restart.cases(bench, _template(bench, TRAIN, "half"))


def _single(template: pathlib.Path) -> list[tuple[str, str, Way]]:
    """Target, name and way of all damages to one file or folder."""
    found = []
    for path in sorted(template.rglob("*")):
        target = str(path.relative_to(template))
        ways = ways_of(path)
        if path.suffix in (".png", ".svg", ".csv") or target.startswith("tensorboard/"):
            ways = {name: ways[name] for name in ("removed", "halved", "a folder instead", "a dangling link instead",
                                                  "random bytes") if name in ways}
        if "lock" in path.name:
            ways = {name: way for name, way in ways.items() if "instead" in name or name == UNREADABLE}
        found += [(target, name, way) for name, way in ways.items()]
    return found


def stable(path: pathlib.Path, template: pathlib.Path) -> str:
    """A name that is the same next time: event files have the time and the process in theirs."""
    target = str(path.relative_to(template))
    if "tfevents" not in path.name:
        return target
    return f"{target.rpartition('/')[0]}/events #{sorted(path.parent.glob('*tfevents*')).index(path)}"


def _template(bench: Bench, subject: Subject, state: str) -> pathlib.Path:
    """A finished or half-finished folder, which stays as it is."""
    if state == "finished":
        return subject.reference(bench).folder / "run"

    def make(folder: pathlib.Path) -> pathlib.Path:
        for _ in range(20):
            process = bench.commands.start(subject.argv, cwd=folder)
            while process.running and not list((folder / "run").glob(_HALF_AT[subject.kind])):
                time.sleep(0.002)
            process.send(signal.SIGTERM if subject.kind == "run" else signal.SIGKILL)
            if process.wait(60).code != 0:
                # Those of an earlier point go when the next one is finished: killed in between, they serve nobody.
                for weights in sorted((folder / "run").glob("chunks/point-*.npz"))[:-1]:
                    weights.unlink()
                return folder / "run"
            remove(folder / "run")
        raise Wrong(f"{subject.name} cannot be stopped half-way")
    return bench.once(f"half {subject.name}", make)


def _damage(bench: Bench, subject: Subject, state: str, target: str, way_name: str, way: Way, folder: pathlib.Path,
            rng: random.Random) -> Verdict:
    run = copy(_template(bench, subject, state), folder / "run")
    path = run / target
    before = fingerprint(path)
    way(path, rng)
    damage = Damage(target, way_name, before, fingerprint(path))
    decoys = Decoys(run, subject.reference(bench).folder) if path.is_dir() or path.suffix else None
    attempts = [functools.partial(_export_first, bench, subject, state, folder, damage),
                functools.partial(_run_again, bench, subject, state, folder, damage)]
    if decoys is not None:
        attempts.append(functools.partial(decoys.check, besides=target))
    verdicts, problems = [], []
    for attempt in attempts:  # One thing that is wrong shall not hide another.
        try:
            verdicts.append(attempt())
        except Wrong as error:
            problems.append(str(error))
    if problems:
        raise Wrong("; also ".join(problems))
    return max(filter(None, verdicts), key=lambda verdict: verdict.kind)  # "refused" by either is refused.


def _run_again(bench: Bench, subject: Subject, state: str, folder: pathlib.Path, damage: Damage) -> Verdict:
    """The same command once more."""
    reference, run, damaged = subject.reference(bench), folder / "run", tree(folder / "run")
    outcome = bench.commands.run(subject.argv, cwd=folder, timeout=HANG, obey_permissions=damage.way == UNREADABLE)
    check_alive(outcome)
    if outcome.code != 0:
        line = check_refusal(outcome, names=[*names_of(damage.target), *FOLDER_NAMES])
        check_untouched(damaged, run, redrawn=subject.kind in ("sweep", "path"))
        return Verdict("refused", line)
    if subject.kind == "run" and state == "half":
        _check_goes_on(outcome)
    return judge(outcome, damage, usual=subject.usual(bench), expected=reference.tells,
                 found=subject.read(bench, folder), after=fingerprint(run / damage.target),
                 vital=[part for part in _VITAL if part in reference.tells])


def _export_first(bench: Bench, subject: Subject, state: str, folder: pathlib.Path, damage: Damage
                  ) -> Verdict | None:
    """Export and `certify rerun` of the damaged run, where they read what is damaged."""
    if subject is not TRAIN or not damage.target.startswith(("checkpoints", "config", "data", "result")):
        return None
    certify_judged(bench, folder, damage)
    return export_judged(bench, _template(bench, subject, state), folder, damage)


def _check_goes_on(outcome: Outcome) -> None:
    """Raises `Wrong` if a run that had checkpoints began anew."""
    if not any(line.startswith("Resumed after step ") and " step 0 " not in line for line in outcome.lines):
        raise Wrong("step 0 unasked: the run began anew")
