"""Export from a damaged run, and `certify rerun` of one: what an undamaged run gives, or a line, or a refusal."""

from __future__ import annotations

import pathlib

import numpy as np

from tests.faults.cases import Bench
from tests.faults.processes import Outcome
from tests.faults.trees import check_untouched, tree
from tests.faults.verdicts import (
    FOLDER_NAMES,
    Damage,
    Verdict,
    Wrong,
    check_alive,
    check_refusal,
    named,
    names_of,
    new_lines,
)
from tests.faults.ways import UNREADABLE


def export_judged(bench: Bench, template: pathlib.Path, folder: pathlib.Path, damage: Damage) -> Verdict | None:
    """Exports the state that the damage concerns to NumPy arrays; `template` is that run before it was damaged.

    Returns:
      None, or what was refused.

    Raises:
      Wrong: an export went wrong.
    """
    verdict, run = None, folder / "run"
    for state in ("last",) if damage.target.startswith("checkpoints/ckpt") else ("best",):
        argv = ["reglab.export", "--model_dir=run", f"--state={state}", f"--output={state}.npz"]
        before = tree(run)
        outcome = bench.commands.run(argv, cwd=folder, obey_permissions=damage.way == UNREADABLE)
        try:
            check_alive(outcome)
            if outcome.code != 0:
                check_untouched(before, run)
                line = check_refusal(outcome, names=[*names_of(damage.target), *FOLDER_NAMES])
                verdict = Verdict("refused", f"export --state={state}: {line}")
                continue
            usual, expected = _undamaged(bench, template, state)
            if _arrays(folder / f"{state}.npz") != expected and not named(damage.target, new_lines(outcome, usual)):
                raise Wrong("other weights, and no line says so")
        except Wrong as error:
            raise Wrong(f"export --state={state}: {error}") from None
    return verdict


def certify_judged(bench: Bench, folder: pathlib.Path, damage: Damage) -> None:
    """Runs `certify rerun` on `folder`/run, where there is such a thing: equal, not equal or refused, and all is kept.

    Raises:
      Wrong: something else happened.
    """
    if not bench.once("certify rerun", lambda place: "rerun" in bench.commands.run(
            ["reglab.certify", "--help"], cwd=place).out):
        return
    before = tree(folder / "run")
    outcome = bench.commands.run(["reglab.certify", "rerun", "run"], cwd=folder,
                                 obey_permissions=damage.way == UNREADABLE)
    try:
        check_alive(outcome)
        check_untouched(before, folder / "run")
        if outcome.code not in (0, 4):
            check_refusal(outcome, names=[*names_of(damage.target), *FOLDER_NAMES, "reglab: run "])
    except Wrong as error:
        raise Wrong(f"certify rerun: {error}") from None


def _undamaged(bench: Bench, template: pathlib.Path, state: str) -> tuple[Outcome, dict[str, bytes]]:
    """What export prints and writes for the folder before it was damaged."""
    def make(place: pathlib.Path) -> tuple[Outcome, dict[str, bytes]]:
        output = place / "x.npz"
        outcome = bench.must_succeed(bench.commands.run(
            ["reglab.export", f"--model_dir={template}", f"--state={state}", f"--output={output}"], cwd=place))
        return outcome, _arrays(output)
    return bench.once(f"export {template.parent.name} {state}", make)


def _arrays(path: pathlib.Path) -> dict[str, bytes]:
    """What the network computes with; the metadata also tell what a lost file told, as the run's id."""
    with np.load(path) as file:
        return {name: file[name].tobytes() for name in file.files if name != "metadata"}
