"""`--resume=restart`: a run that cannot go on is refused, nothing of it is lost by that, and restart begins anew."""

from __future__ import annotations

import functools
import pathlib
import random
from collections.abc import Callable, Mapping
from typing import Final

from tests.faults.cases import Bench, Case
from tests.faults.subjects import TRAIN
from tests.faults.trees import Decoys, check_untouched, copy, remove, tree
from tests.faults.verdicts import FOLDER_NAMES, Verdict, Wrong, check_alive, check_refusal, differences


def _each(pattern: str, change: Callable[[pathlib.Path], object]) -> Callable[[pathlib.Path], None]:
    def way(run: pathlib.Path) -> None:
        for path in run.glob(pattern):
            change(path)
    return way


_WAYS: Final[Mapping[str, Callable[[pathlib.Path], object]]] = {
    "no index": _each("checkpoints/ckpt-*.index", remove),
    "no data": _each("checkpoints/ckpt-*.data*", remove),
    "no checkpoints": _each("checkpoints", remove),
    "empty checkpoints": _each("checkpoints/*", remove),
    "no checkpoints but the best": _each("checkpoints/ckpt-*", remove),
    "zero bytes in all indexes": _each("checkpoints/**/ckpt-*.index", lambda path: path.write_bytes(bytes(300))),
    "zero bytes in all data": _each("checkpoints/**/ckpt-*.data*", lambda path: path.write_bytes(bytes(3000))),
    "a file for checkpoints": _each("checkpoints", lambda path: (remove(path), path.write_text("x"))),
    "nothing but config.json and checkpoints": _each("[!c]*", remove),
}


def cases(bench: Bench, template: pathlib.Path) -> list[Case]:
    """Ways to make a half-finished run one that cannot go on."""
    return [Case("train, restart", name, functools.partial(_restart, bench, template, way))
            for name, way in _WAYS.items()]


def _restart(bench: Bench, template: pathlib.Path, way: Callable[[pathlib.Path], object], folder: pathlib.Path,
             rng: random.Random) -> Verdict:
    reference, run = TRAIN.reference(bench), copy(template, folder / "run")
    way(run)
    if not (run / "checkpoints").is_dir() and (run / "result.json").exists():
        raise RuntimeError("the template is a finished run")
    decoys, before = Decoys(run, reference.folder), tree(run)
    refused = bench.commands.run(TRAIN.argv, cwd=folder)
    if refused.code == 0 and not any(line.startswith("Resumed after step ") for line in refused.lines):
        raise Wrong("step 0 unasked: the run began anew")
    if refused.code != 0:
        line = check_refusal(refused, names=FOLDER_NAMES)
        check_untouched(before, run)
        if "--resume=restart" not in line and "is no folder" not in line:
            raise Wrong(f"names not --resume=restart: {line}")
    again = bench.commands.run([*TRAIN.argv, "--resume=restart"], cwd=folder)
    check_alive(again)
    decoys.check()
    if again.code != 0 and "is no folder" in again.err:
        return Verdict("refused", check_refusal(again, names=FOLDER_NAMES))
    if again.code != 0:
        raise Wrong(f"--resume=restart ended with {again.code}: {(again.err or again.out)[-300:].strip()}")
    found = TRAIN.read(bench, folder)
    if parts := [part for part in differences(reference.tells, found) if part != "config.json"]:
        raise Wrong(f"--resume=restart gives other than undisturbed: {', '.join(parts)}")
    return Verdict("refused" if refused.code else "recovered", refused.err.strip())
