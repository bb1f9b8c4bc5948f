"""Disk: full, out of inodes, read-only, files bounded, folders and files taken away in the middle of the work.

The command ends with one line and a documented exit code, leaves no temporary file, and once there is room again the
same command goes on to the bits of an undisturbed one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import random
import subprocess
import time
from collections.abc import Callable
from typing import Any, Final

from tests.faults.cases import Bench, Case
from tests.faults.moments import wait_for_moment
from tests.faults.mounts import fill_bytes, fill_inodes, mount, mounted
from tests.faults.processes import Outcome
from tests.faults.subjects import COMPARE, LONG, PATH, SWEEP, Reference, Subject
from tests.faults.trees import leftovers, remove
from tests.faults.verdicts import FOLDER_NAMES, Damage, Verdict, Wrong, check_alive, check_refusal, judge

MOMENTS: Final = 6
"""Random moments for each fault and command."""
_FILES: Final = {LONG: ("config.json", "metrics.jsonl", "data.json", "checkpoints/best/best.json",
                        "checkpoints/ckpt-*.index", "checkpoints/ckpt-*.data*", "train/events*", "checkpoints", "train",
                        "checkpoints/best"),
                 SWEEP: ("plan.json", "chunks/chunk-000.json", "chunks")}


def cases(bench: Bench, full: bool = True) -> list[Case]:
    """Every fault at random moments of every command."""
    found = []
    for subject in (LONG, SWEEP, COMPARE, *([PATH] if full else [])):
        faults: dict[str, Callable[..., Verdict]] = {
            "full": functools.partial(_short_of, fill_bytes), "out of inodes": functools.partial(
                _short_of, fill_inodes), "read-only": _read_only, "files bounded": _bounded,
            "folder renamed": _renamed, "folder removed": functools.partial(_taken, ".", False)}
        for pattern in _FILES.get(subject, ()):
            faults[f"{pattern} removed"] = functools.partial(_taken, pattern, False)
            faults[f"a folder for {pattern}"] = functools.partial(_taken, pattern, True)
        found += [Case(subject.name, f"{name}, moment {i}", functools.partial(fault, bench, subject))
                  for name, fault in faults.items() for i in range(MOMENTS)]
    return found


def _short_of(fill: Callable[[pathlib.Path], None], bench: Bench, subject: Subject, folder: pathlib.Path,
              rng: random.Random) -> Verdict:
    with mounted(folder / "disk", "size=24m,nr_inodes=2k") as disk:
        if disk is None:
            return Verdict("skipped", "mounting is not permitted here")
        process = bench.commands.start(subject.argv, cwd=disk)
        wait_for_moment(process, disk / "run", subject.reference(bench), rng)
        while process.running:  # What the command removes makes room, which is taken again.
            fill(disk)
            process.ended.wait(0.01)
        fill(disk)
        return _then_again(bench, subject, disk, process.wait(90), lambda: remove(disk / "filler"))


def _read_only(bench: Bench, subject: Subject, folder: pathlib.Path, rng: random.Random) -> Verdict:
    with mounted(folder / "disk", "size=24m") as disk:
        if disk is None:
            return Verdict("skipped", "mounting is not permitted here")
        process = bench.commands.start(_absolute(subject, disk), cwd=folder)
        wait_for_moment(process, disk / "run", subject.reference(bench), rng)
        mount("--bind", str(disk), str(disk))  # A view above, so that files that are open do not prevent it.
        mount("-o", "remount,bind,ro", str(disk))
        outcome = process.wait(90)
        return _then_again(bench, subject, disk, outcome,
                           lambda: subprocess.run(["umount", "--lazy", str(disk)], check=True), absolute=True)


def _bounded(bench: Bench, subject: Subject, folder: pathlib.Path, rng: random.Random) -> Verdict:
    """As with a limit of a shell or a quota: files cannot grow beyond a size."""
    size = int(2 ** rng.uniform(7, 16))
    outcome = bench.commands.run(subject.argv, cwd=folder, timeout=90, file_bytes=size)
    return _then_again(bench, subject, folder, outcome, lambda: None)


def _renamed(bench: Bench, subject: Subject, folder: pathlib.Path, rng: random.Random) -> Verdict:
    process, run, moved = bench.commands.start(subject.argv, cwd=folder), folder / "run", folder / "moved"
    if not wait_for_moment(process, run, subject.reference(bench), rng) or not run.is_dir():
        process.wait(90)
        return Verdict("skipped", "the command was done before the fault came")
    run.rename(moved)
    outcome = process.wait(90)

    def put_back() -> None:
        if run.exists():
            run.rename(folder / "written meanwhile")
        moved.rename(run)
    return _then_again(bench, subject, folder, outcome, put_back, whole=False)


def _taken(pattern: str, put_folder: bool, bench: Bench, subject: Subject, folder: pathlib.Path,
           rng: random.Random) -> Verdict:
    """A file or folder goes while the command runs, or a folder stands in its place."""
    process, run = bench.commands.start(subject.argv, cwd=folder), folder / "run"
    reference = subject.reference(bench)
    wait_for_moment(process, run, reference, rng)
    while process.running and not put_folder and pattern != "." and not list(run.glob(pattern)):
        time.sleep(0.002)
    found = sorted(run.glob(pattern)) if pattern != "." else [run]
    path = rng.choice(found) if found else run / pattern.replace("*", "0")
    if not process.running:
        process.wait(90)
        return Verdict("skipped", "the command was done before the fault came")
    _replace(path, put_folder)
    outcome = process.wait(90)
    target = str(path.relative_to(run))
    damage = Damage("run" if target == "." else target, "taken", "something", None)
    check_alive(outcome)
    if outcome.code == 0:
        return judge(outcome, damage, usual=subject.usual(bench), expected=reference.tells, after="",
                     found=subject.read(bench, folder), vital=_vital(reference))
    line = check_refusal(outcome, names=FOLDER_NAMES)
    if put_folder and path.is_dir():
        remove(path)
    again = bench.commands.run(subject.argv, cwd=folder, timeout=90)
    check_alive(again)
    if again.code != 0:
        return Verdict("refused", f"{line}; and again: {check_refusal(again, names=('run',))}")
    both = dataclasses.replace(again, out=again.out + outcome.err)
    return judge(both, damage, usual=subject.usual(bench), expected=reference.tells, after="",
                 found=subject.read(bench, folder), vital=_vital(reference))


def _replace(path: pathlib.Path, put_folder: bool) -> None:
    for _ in range(50):
        remove(path)
        if not put_folder:
            if not path.exists():
                return
        else:
            with contextlib.suppress(OSError):
                path.mkdir(parents=True)
                (path / "inside").write_text("not reglab's\n")
                return


def _then_again(bench: Bench, subject: Subject, place: pathlib.Path, outcome: Outcome, repair: Callable[[], Any], *,
                absolute: bool = False, whole: bool = True) -> Verdict:
    """Checks the end under the fault, repairs, runs the same command and compares with an undisturbed one."""
    check_alive(outcome)
    line = "" if outcome.code == 0 else check_refusal(outcome, names=FOLDER_NAMES)
    problems = [f"left {', '.join(left[:3])}"] if whole and (left := leftovers(place / "run")) else []
    repair()
    stood = list((place / "run" / "checkpoints").glob("ckpt-*.index"))
    argv = _absolute(subject, place) if absolute else subject.argv
    if outcome.code != 0 or subject.kind != "compare":
        again = bench.commands.run(argv, cwd=place, timeout=90)
        check_alive(again)
        if again.code != 0:
            raise Wrong(f"with the fault mended exit code {again.code}: {(again.err or again.out)[-300:].strip()} "
                        f"(before: {line})")
        if stood and outcome.code != 0 and not any(text.startswith("Resumed after step ") or "complete" in text
                                                   for text in again.lines):
            problems.append("step 0 unasked")
    found, expected = subject.read(bench, place), subject.reference(bench).tells
    if parts := [part for part in expected if expected[part] != found.get(part)]:
        problems.append(f"with the fault mended other than undisturbed: {', '.join(parts)} (before: {line})")
    if problems:
        raise Wrong("; also ".join(problems))
    return Verdict("refused" if line else "recovered", line)


def _vital(reference: Reference) -> list[str]:
    return [part for part in ("last", "sweep.json") if part in reference.tells]


def _absolute(subject: Subject, place: pathlib.Path) -> list[str]:
    """With the folder's whole name: what is mounted above a working directory is not seen from within it."""
    return [word.replace("--model_dir=run", f"--model_dir={place}/run") for word in subject.argv]
