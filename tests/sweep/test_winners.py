"""The winner is held against the test part once, with the optimism of the choice beside it."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.console.format import percent
from reglab.data import Dataset, from_arrays
from reglab.evaluate.evaluating import evaluate
from reglab.evaluate.looks import read_looks
from reglab.lab.grid import Grid
from reglab.predict.predicting import predict
from reglab.sweep.experiment import sweep
from reglab.sweep.pathway import path

pytestmark = pytest.mark.usefixtures("shared_compilation", "without_pictures")

CONFIG = Config(hidden=(5,), batch_size=8, epochs=3, jit=False, learning_rate=0.02)
GRID = Grid(l1=(0.0, 1e-4, 1e-3))


def made(test: int = 40) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60 + test, 4))
    y = (x @ rng.normal(size=(4, 3))).argmax(1)
    return from_arrays(x[:60], y[:60], x[60:] if test else None, y[60:] if test else None)


def in_folder(folder: pathlib.Path) -> Config:
    return Config(**{**CONFIG.to_dict(), "model_dir": str(folder)})


def test_a_sweeps_winner(tmp_path: pathlib.Path) -> None:
    data = made()
    assert data.test is not None
    done = sweep(in_folder(tmp_path), GRID, seeds=2, data=data)
    found, winner = done.result["test"], done.winners["best"]
    right = predict(tmp_path / "winner", data.test.x, state="last").classes == data.test.y
    assert found["accuracy"]["value"] == right.mean()
    assert (found["examples"], found["state"], found["step"]) == (40, "last", winner["steps"])
    for name, test in (("accuracy", right.mean()), ("data_loss", found["data_loss"])):
        assert found["optimism"][name] == pytest.approx(winner["validation"][name] - test, abs=1e-12)
    for said in ("On the 40 test examples of arrays, looked at this once, the winner is right on "
                 f"{percent(right.mean())} (95 % interval ", f"{100 * found['optimism']['accuracy']:+.2f} percentage "
                 "points", "The optimism of the choice (validation - test) is "):
        assert said in found["sentence"]
    assert json.loads((tmp_path / "sweep.json").read_text())["test"] == found


def test_the_same_sweep_again_looks_no_second_time_and_others_are_told(tmp_path: pathlib.Path) -> None:
    data = made()
    first = sweep(in_folder(tmp_path), GRID, seeds=2, data=data)
    (look,) = read_looks(tmp_path / "winner")
    assert look["by"] == "reglab.sweep"
    again = sweep(in_folder(tmp_path), GRID, seeds=2, data=data)
    assert again.result == first.result and read_looks(tmp_path / "winner") == [look]
    for name in {"winner", "winner_1se"} & {one.name for one in tmp_path.iterdir()}:
        said = evaluate(tmp_path / name, data).result["sentences"][-1]
        assert said.startswith("The run has looked at this test part once before (first by reglab.sweep on ")


def test_a_paths_choice_among_the_cold_starts(tmp_path: pathlib.Path) -> None:
    result = path(in_folder(tmp_path), GRID, data=made()).result
    losses = [point["validation"]["data_loss"]["mean"] for point in result["points"]]
    config = json.loads((tmp_path / "winner" / "config.json").read_text())
    assert config["l1"] == GRID.strengths["l1"][int(np.argmin(losses))]
    assert config["epochs"] == result["epochs"]["total"]
    assert result["test"]["validation"]["data_loss"] == pytest.approx(min(losses), rel=1e-3)
    assert json.loads((tmp_path / "path.json").read_text())["test"] == result["test"]


def test_without_a_test_part_that_is_said(tmp_path: pathlib.Path) -> None:
    result = sweep(in_folder(tmp_path), GRID, data=made(0)).result
    assert result["test"] == {"sentence": "The data have no test part, so how optimistic the validation of the choice "
                                          "is remains unknown."}
    assert not (tmp_path / "winner" / "evaluation").exists()


def test_a_refusal_leaves_what_was_found_on_the_test_part(tmp_path: pathlib.Path) -> None:
    data = made()
    sweep(in_folder(tmp_path), GRID, data=data)
    before = (tmp_path / "sweep.json").read_bytes()
    (tmp_path / "winner" / "run.json").unlink()
    (tmp_path / "winner" / "run.json").symlink_to("run.json")
    with pytest.raises(ConfigError, match=r"run\.json"):
        sweep(in_folder(tmp_path), GRID, data=data)
    assert (tmp_path / "sweep.json").read_bytes() == before


def test_what_is_in_the_way_of_the_evaluation_is_named(tmp_path: pathlib.Path) -> None:
    data = made()
    sweep(in_folder(tmp_path), GRID, data=data)
    folder, = (path for path in (tmp_path / "winner" / "evaluation").iterdir() if path.is_dir())
    folder.rename(tmp_path / "moved")
    folder.symlink_to("nowhere")
    with pytest.raises(ConfigError, match=f"{folder.name} is a link to nothing, and a folder is to be there"):
        sweep(in_folder(tmp_path), GRID, data=data)
    assert folder.is_symlink() and not folder.with_name(f"{folder.name}-2").exists()
