"""The test part decides nothing: with other test examples each bit of a run, a choice and the best state stays."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import pytest

from reglab.compare.experiment import compare
from reglab.config import Config, ConfigError
from reglab.data import Dataset, from_arrays
from reglab.lab.grid import Grid
from reglab.run.loop import fit
from reglab.sweep.experiment import sweep
from reglab.sweep.pathway import path

pytestmark = pytest.mark.usefixtures("shared_compilation", "without_pictures")

CONFIG = Config(hidden=(5,), batch_size=8, epochs=3, jit=False, learning_rate=0.02, l1=1e-3)
GRID = Grid(l1=(0.0, 1e-3, 1e-2))


def made(spoil: bool) -> Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
    x_test, y_test = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)
    return from_arrays(x, y, 100 - x_test if spoil else x_test, 2 - y_test if spoil else y_test)


def bits(folder: pathlib.Path) -> dict[str, Any]:
    """All that a run leaves but the facts of its data, its times, and labels with a digest of these."""
    metrics = [{tag: value for tag, value in json.loads(line).items() if not tag.startswith("perf/")}
               for line in (folder / "metrics.jsonl").read_text().splitlines()]
    result = json.loads((folder / "result.json").read_text())
    kept = {name: result[name] for name in ("train", "validation", "gap", "best", "weights", "steps")}
    arrays = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("ckpt-*.data-*")}
    assert len(arrays) > 1
    return {"best": (folder / "checkpoints" / "best" / "best.json").read_bytes(), "metrics": metrics, **kept, **arrays}


def without_test(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in ("test", "seconds")}


def test_of_a_run(tmp_path: pathlib.Path) -> None:
    for name in ("real", "spoilt"):
        fit(dataclasses.replace(CONFIG, model_dir=str(tmp_path / name)), made(name == "spoilt"))
    assert bits(tmp_path / "real") == bits(tmp_path / "spoilt")


def test_of_a_comparison() -> None:
    one, other = (compare(CONFIG, 2, made(spoil)).result for spoil in (False, True))
    assert without_test(one) == without_test(other)


@pytest.mark.parametrize("folds", [None, 2])
def test_of_a_sweep_its_choice_and_its_winner(tmp_path: pathlib.Path, folds: int | None) -> None:
    done = {}
    for name in ("real", "spoilt"):
        config = Config(hidden=(5,), batch_size=8, epochs=3, jit=False, learning_rate=0.02,
                        model_dir=str(tmp_path / name))
        done[name] = sweep(config, GRID, seeds=2, folds=folds, data=made(name == "spoilt")).result
    assert without_test(done["real"]) == without_test(done["spoilt"])
    assert bits(tmp_path / "real" / "winner") == bits(tmp_path / "spoilt" / "winner")
    assert done["real"]["test"]["accuracy"] != done["spoilt"]["test"]["accuracy"]  # It was looked at, at last.


def test_of_a_path_and_its_choice(tmp_path: pathlib.Path) -> None:
    done = [path(Config(hidden=(5,), batch_size=8, epochs=2, jit=False, model_dir=str(tmp_path / str(spoil))), GRID,
                 data=made(spoil)).result for spoil in (False, True)]
    assert without_test(done[0]) == without_test(done[1])


def test_a_sweep_and_a_path_refuse_a_test_part_that_would_choose(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    data = from_arrays(rng.normal(size=(60, 4)), rng.integers(0, 3, 60), rng.normal(size=(9, 4)),
                       rng.integers(0, 3, 9), validation_split=0)
    for run in (sweep, path):
        with pytest.raises(ConfigError, match="^--validation_split=0 would have the test part choose: give a fraction"):
            run(Config(model_dir=str(tmp_path / "new")), GRID, data=data)
    assert not list(tmp_path.iterdir())
