"""Warm-started paths."""

from __future__ import annotations

import csv
import dataclasses
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.console import Console
from reglab.data import Dataset
from reglab.lab.grid import Grid
from tests.older import older_sweep

pytestmark = pytest.mark.usefixtures("shared_compilation")

SHARED = Config(hidden=(5,), activation="tanh", batch_size=8, epochs=4, precision="float64", jit=False, seed=3,
                learning_rate=0.01)
GRID = Grid(l1=(0.0, 0.003, 0.01, 0.03), learning_rate=(0.01,))


def run(path: pathlib.Path, dataset: Dataset, grid: Grid = GRID, *, picture: bool = False, **options: Any) -> Any:
    """A path, without its picture unless that is asked for: it takes longer than the lanes."""
    from reglab.sweep import path as walk
    from reglab.sweep import path_results

    with pytest.MonkeyPatch.context() as patch:
        if not picture:
            patch.setattr(path_results.plots, "path_picture", lambda *arguments: None)
        return walk(dataclasses.replace(SHARED, model_dir=str(path)), grid, seeds=2, data=dataset, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, shared_compilation: None) -> Any:
    """A path that nothing happened to, with its picture; tests look at it, or work on a copy."""
    return run(tmp_path_factory.mktemp("whole"), dataset, picture=True)


@pytest.fixture
def finished(tmp_path: pathlib.Path, whole: Any) -> pathlib.Path:
    """A copy of its folder."""
    return pathlib.Path(shutil.copytree(whole.folder.path, tmp_path / "finished"))


def test_each_point_starts_where_the_last_ended(whole: Any, dataset: Dataset) -> None:
    from reglab.core.parameters import Weights
    from reglab.lab.lanes import LaneTrainer

    done = whole
    trainer, start = LaneTrainer(done.plan.shared, dataset, 2), None
    for at in range(4):
        lanes = done.plan.lanes[2 * at:2 * at + 2]
        cold, warm = trainer.train(lanes), trainer.train(lanes, weights=start)
        start = Weights(warm.parameters, warm.buffers)
        point = done.result["points"][at]
        for name, curves in (("cold", cold), ("warm", warm)):
            totals = curves.train["data_loss"] + curves.weights["penalty/total"]
            assert point["total"][name]["mean"] == pytest.approx(totals[-1].mean(), rel=1e-10)
    assert point["warm"]["validation"]["data_loss"]["mean"] == pytest.approx(
        warm.validation["data_loss"][-1].mean(), rel=1e-10)
    first = done.result["points"][0]
    assert first["steps"]["cold"] == first["steps"]["warm"]


def test_warm_starts_save_steps(whole: Any) -> None:
    steps = whole.result["steps"]
    assert steps["warm"] < steps["cold"]


def test_points_that_an_earlier_reglab_finished_are_not_trained_again(finished: pathlib.Path, whole: Any,
                                                                      dataset: Dataset,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    from reglab.sweep import warm

    before = (finished / "path.json").read_bytes()
    older_sweep(finished)
    monkeypatch.setattr(warm.LaneTrainer, "train", None)
    assert run(finished, dataset).result == whole.result
    assert (finished / "path.json").read_bytes() == before


def test_the_files(whole: Any) -> None:
    from reglab.sweep.path_results import path_table

    done, folder = whole, whole.folder.path
    assert json.loads((folder / "path.json").read_text()) == done.result
    rows = list(csv.DictReader((folder / "path.csv").read_text().splitlines()))
    assert [float(row["l1"]) for row in rows] == list(GRID.l1)
    assert float(rows[2]["warm_steps"]) == done.result["points"][2]["steps"]["warm"]["mean"]
    assert (folder / "path.png").exists()
    assert not list((folder / "chunks").glob("*.npz")), "no point begins where the last one ended"
    assert len(path_table(done.result).splitlines()) == 6


@pytest.mark.parametrize("removed", ["path.csv", "timing.json"])
def test_a_result_that_was_taken_away_meanwhile_is_named_and_written_again(
        removed: str, finished: pathlib.Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from reglab.storage.files import StorageError
    from reglab.sweep import path_results

    with monkeypatch.context() as context:
        context.setattr(path_results.plots, "path_picture", lambda result, folder: (folder / removed).unlink())
        with pytest.raises(StorageError, match=rf"{removed} cannot be written \(it was taken away meanwhile\)"):
            run(finished, dataset, picture=True)
    done = run(finished, dataset)
    assert (finished / removed).exists()
    assert json.loads((finished / "path.json").read_text()) == done.result


def test_a_killed_path_goes_on_and_ends_with_the_same_bytes(tmp_path: pathlib.Path, dataset: Dataset, whole: Any,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    from reglab.sweep import warm

    original, calls = warm.LaneTrainer.train, []

    def dying(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:
            raise SystemExit
        return original(self, *arguments, **options)

    monkeypatch.setattr(warm.LaneTrainer, "train", dying)
    with pytest.raises(SystemExit):
        run(tmp_path / "killed", dataset)
    calls.clear()
    calls.extend([1] * 10)
    run(tmp_path / "killed", dataset)
    assert len(calls) == 10 + 4  # Two points were finished, two are trained, cold and warm.
    assert (tmp_path / "killed" / "path.json").read_bytes() == (whole.folder.path / "path.json").read_bytes()


@pytest.mark.parametrize(("name", "trained"), [("point-003.json", 1), ("point-000.json", 4), ("point-001.json", 4)])
def test_a_damaged_point_is_trained_again(finished: pathlib.Path, dataset: Dataset, name: str, trained: int,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    from reglab.sweep import warm

    before = (finished / "path.json").read_bytes()
    kept = finished / "chunks" / "point-002.npz"
    if trained == 1:  # As if the last point had been killed after its numbers were written, before that was removed.
        cut_short(finished, dataset, monkeypatch)
        assert kept.exists()
    (finished / "chunks" / name).write_bytes(b"{")
    calls: list[Any] = []
    original = warm.LaneTrainer.train
    monkeypatch.setattr(warm.LaneTrainer, "train", lambda self, *a, **b: calls.append(1) or original(self, *a, **b))
    run(finished, dataset)
    assert len(calls) == 2 * trained
    assert (finished / "path.json").read_bytes() == before


def cut_short(folder: pathlib.Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains the path anew, but keeps the weights of every point."""
    for path in (folder / "chunks").iterdir():
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "unlink", lambda self, missing_ok=False: None)
        run(folder, dataset)


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_weights_that_cannot_be_used_cost_the_points_before(finished: pathlib.Path, dataset: Dataset,
                                                            damage: str) -> None:
    said: list[str] = []
    console = Console()
    console.warning = said.append  # type: ignore[method-assign]
    before = (finished / "path.json").read_bytes()
    (finished / "chunks" / "point-003.json").unlink()
    if damage == "changed":
        np.savez(finished / "chunks" / "point-002.npz", **{"logits/kernel": np.ones(3)})
    run(finished, dataset, console=console)
    assert (finished / "path.json").read_bytes() == before
    [line] = said
    assert f"{finished / 'chunks' / 'point-002.npz'} {'is missing' if damage == 'gone' else 'is damaged'}" in line
    assert "all points are trained again" in line


def test_a_folder_in_the_place_of_weights_is_named_before_anything_is_touched(
        finished: pathlib.Path, dataset: Dataset, tree: Callable[[pathlib.Path], dict[str, bytes | None]]) -> None:
    (finished / "chunks" / "point-003.json").unlink()
    (finished / "chunks" / "point-002.npz").mkdir()
    before = tree(finished)
    with pytest.raises(ConfigError, match="point-002.npz is a folder, and a file is to be there: move it away"):
        run(finished, dataset)
    assert tree(finished) == before


def test_epochs_needed_to_the_total_that_both_reach() -> None:
    from reglab.sweep.path_results import epochs_needed

    cold = np.array([[9.0, 9.0], [5.0, 5.0], [3.0, 6.0]])
    warm = np.array([[4.0, 9.0], [2.0, 4.0], [2.5, 3.0]])
    epochs, target = epochs_needed(cold, warm)
    assert target.tolist() == [3.0, 5.0]
    assert {name: needed.tolist() for name, needed in epochs.items()} == {"cold": [3, 2], "warm": [2, 2]}


def test_a_diverged_lane_starts_again_where_it_started() -> None:
    from reglab.core.parameters import Weights
    from reglab.lab.lanes import LaneCurves
    from reglab.sweep.warm import next_start

    start = {"logits": {"kernel": np.ones((2, 1, 1)), "bias": np.ones((2, 1))}}
    ended = {"logits": {"kernel": np.array([[[np.nan]], [[2.0]]]), "bias": np.full((2, 1), 3.0)}}
    after = next_start(Weights(start), LaneCurves(np.array([1]), {}, {}, {}, ended)).parameters
    assert after["logits"]["kernel"].ravel().tolist() == [1.0, 2.0]
    assert after["logits"]["bias"].ravel().tolist() == [1.0, 3.0]


@pytest.mark.parametrize("grid", [Grid(), Grid(l1=(0.0, 1.0), l2=(0.0, 1.0)), Grid(learning_rate=(0.1, 0.2))])
def test_other_grids_are_refused(tmp_path: pathlib.Path, dataset: Dataset, grid: Grid) -> None:
    with pytest.raises(ConfigError, match="^--path: .*several to --l1 or to --l2"):
        run(tmp_path, dataset, grid)
    assert not list(tmp_path.iterdir())
