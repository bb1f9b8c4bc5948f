"""Warm-started paths."""

from __future__ import annotations

import csv
import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.console import Console
from reglab.data import Dataset
from reglab.lab.grid import Grid

pytestmark = pytest.mark.usefixtures("shared_compilation")

SHARED = Config(hidden=(5,), activation="tanh", batch_size=8, epochs=4, precision="float64", jit=False, seed=3,
                learning_rate=0.01)
GRID = Grid(l1=(0.0, 0.003, 0.01, 0.03), learning_rate=(0.01,))


def run(path: pathlib.Path, dataset: Dataset, grid: Grid = GRID, **options: Any) -> Any:
    from reglab.sweep import path as walk

    return walk(dataclasses.replace(SHARED, model_dir=str(path)), grid, seeds=2, data=dataset, **options)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Any:
    """A path, and the folder of it, which nothing may change."""
    return run(tmp_path_factory.mktemp("path"), dataset)


def test_each_point_starts_where_the_last_ended_and_its_control_has_taken_as_many_steps(walked: Any, dataset: Dataset
                                                                                        ) -> None:
    from reglab.core.parameters import Weights
    from reglab.lab.lanes import LaneTrainer
    from reglab.sweep.settling import is_over

    shared, points = walked.plan.shared, walked.result["points"]
    total = walked.result["epochs"]["total"]
    trainer, start = LaneTrainer(shared, dataset, 2), None
    long, epochs = LaneTrainer(dataclasses.replace(shared, epochs=total), dataset, 2), 0
    for at in range(4):
        lanes = walked.plan.lanes[2 * at:2 * at + 2]
        warm, cold = trainer.train(lanes, weights=start, is_over=is_over), long.train(lanes)
        start, epochs = Weights(warm.parameters, warm.buffers), epochs + len(warm.epochs)
        assert (points[at]["warm_steps"], points[at]["total_steps"]) == (7 * len(warm.epochs), 7 * epochs)
        for name, curves, last in (("warm", warm, -1), ("cold", cold, epochs - 1)):
            totals = curves.train["data_loss"] + curves.weights["penalty/total"]
            assert points[at][name]["objective"]["mean"] == pytest.approx(totals[last].mean(), rel=1e-10)
            assert points[at][name]["validation"]["data_loss"]["mean"] == pytest.approx(
                curves.validation["data_loss"][last].mean(), rel=1e-10)
        assert points[at]["validation"]["data_loss"]["mean"] == pytest.approx(
            cold.validation["data_loss"][-1].mean(), rel=1e-10)
    assert epochs == total
    assert points[0]["warm"]["objective"]["mean"] == pytest.approx(points[0]["cold"]["objective"]["mean"], rel=1e-10)


def test_validation_and_choice_are_those_of_a_sweep_of_as_many_epochs(walked: Any, tmp_path: pathlib.Path,
                                                                      dataset: Dataset) -> None:
    from reglab.sweep import sweep
    from reglab.sweep.outputs import table
    from reglab.sweep.path_results import path_table

    result = walked.result
    swept = sweep(dataclasses.replace(SHARED, epochs=result["epochs"]["total"], evaluate_every=1,
                                      model_dir=str(tmp_path)), GRID, seeds=2, data=dataset).result
    assert [{name: point[name] for name in mine} for point, mine in zip(result["points"], swept["points"], strict=True)
            ] == swept["points"]
    for name in ("best", "one_standard_error", "selection"):
        assert result[name] == swept[name]
    assert {name: result["findings"][name] for name in swept["findings"]} == swept["findings"]
    assert path_table(result).startswith(table(swept))


def test_a_point_ends_when_its_objective_has_settled(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    """By the rule as README has it, from the totals in the files."""
    from reglab.sweep import path as walk

    done = walk(dataclasses.replace(SHARED, epochs=40, learning_rate=0.05, model_dir=str(tmp_path)),
                Grid(l1=(0.001, 0.3), learning_rate=(0.05,)), data=dataset)
    for at, point in enumerate(done.result["points"]):
        part = json.loads((tmp_path / "chunks" / f"point-{at:03}.json").read_text())
        totals = [loss[0] + penalty[0] for loss, penalty in zip(part["train"]["data_loss"],
                                                              part["weights"]["penalty/total"], strict=True)]
        falls = [min(totals[:e - 3]) - min(totals[:e]) for e in range(4, len(totals) + 1)]
        settled = [fall <= max(0.01 * min(totals[:e]), 0.001) for e, fall in enumerate(falls, 4)]
        assert not any(settled[:-1]) and (settled[-1] or len(totals) == 40)
        assert point["settled"] == settled[-1] and point["warm_steps"] == 7 * len(totals)
    assert done.result["points"][1]["settled"] == 1, "a strong penalty settles soon"


def test_a_path_of_an_earlier_reglab_is_refused_and_left_as_it_is(
        tmp_path: pathlib.Path, dataset: Dataset, tree: Callable[[pathlib.Path], dict[str, bytes | None]]) -> None:
    run(tmp_path, dataset)
    plan = json.loads((tmp_path / "plan.json").read_text())
    del plan["settled"]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match="path of an earlier reglab, .* equal work: name another folder"):
        run(tmp_path, dataset)
    assert tree(tmp_path) == before


def test_the_files(walked: Any) -> None:
    from reglab.sweep.path_results import path_table

    folder, result = walked.folder.path, walked.result
    assert json.loads((folder / "path.json").read_text()) == result
    rows = list(csv.DictReader((folder / "path.csv").read_text().splitlines()))
    assert [float(row["l1"]) for row in rows] == list(GRID.l1)
    assert int(rows[2]["total_steps"]) == result["points"][2]["total_steps"]
    assert float(rows[2]["warm_objective_mean"]) == result["points"][2]["warm"]["objective"]["mean"]
    assert (folder / "path.png").exists()
    assert not list((folder / "chunks").glob("*.npz")), "no point begins where the last one ended"
    assert len(path_table(result).splitlines()) == 6 + 1 + 3 + 4


def test_tensorboard_has_the_cold_starts_the_texts_and_the_picture(walked: Any,
                                                                   read_events: Callable[..., Any]) -> None:
    board = walked.folder.path / "tensorboard"
    total = walked.result["points"][-1]["total_steps"]
    assert [step for step, _ in read_events(board / "001_l1=0.003_l2=0" / "validation")["epoch/data_loss"]] == list(
        range(7, total + 1, 7))
    overview = read_events(board / "overview")
    text = overview["about/found"][0][1].item().decode()
    for sentence in walked.result["findings"]["warm_starts"]["sentences"]:
        assert sentence in text
    assert overview["pictures/path"][0][1][2] == (walked.folder.path / "path.png").read_bytes()


@pytest.mark.parametrize("removed", ["path.csv", "timing.json"])
def test_a_result_that_was_taken_away_meanwhile_is_named_and_written_again(
        removed: str, tmp_path: pathlib.Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from reglab.storage.files import StorageError
    from reglab.sweep import path_results

    with monkeypatch.context() as context:
        context.setattr(path_results.plots, "path_picture", lambda result, folder: (folder / removed).unlink())
        with pytest.raises(StorageError, match=rf"{removed} cannot be written \(it was taken away meanwhile\)"):
            run(tmp_path, dataset)
    done = run(tmp_path, dataset)
    assert (tmp_path / removed).exists()
    assert json.loads((tmp_path / "path.json").read_text()) == done.result


@pytest.mark.parametrize(("dies", "left"), [(3, 2 + 1), (5, 1)])
def test_a_killed_path_goes_on_and_ends_with_the_same_bytes(walked: Any, tmp_path: pathlib.Path, dataset: Dataset,
                                                            dies: int, left: int,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """Four warm starts, one after another, then all cold starts at once."""
    from reglab.lab.lanes import LaneTrainer

    original, calls = LaneTrainer.train, []

    def dying(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == dies:
            raise SystemExit
        return original(self, *arguments, **options)

    monkeypatch.setattr(LaneTrainer, "train", dying)
    with pytest.raises(SystemExit):
        run(tmp_path, dataset)
    calls.extend([1] * 10)
    before = len(calls)
    run(tmp_path, dataset)
    assert len(calls) == before + left
    for name in ("path.json", "path.csv", "path.png"):
        assert (tmp_path / name).read_bytes() == (walked.folder.path / name).read_bytes()


@pytest.mark.parametrize(("name", "trained"), [("point-003.json", 1), ("point-000.json", 4), ("point-001.json", 4),
                                               ("chunk-000.json", 1)])
def test_a_damaged_part_is_trained_again(tmp_path: pathlib.Path, dataset: Dataset, name: str, trained: int,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    from reglab.lab.lanes import LaneTrainer

    run(tmp_path, dataset)
    before = (tmp_path / "path.json").read_bytes()
    kept = tmp_path / "chunks" / "point-002.npz"
    if name == "point-003.json":  # As if it had been killed after its numbers were written, before that was removed.
        cut_short(tmp_path, dataset, monkeypatch)
        assert kept.exists()
    (tmp_path / "chunks" / name).write_bytes(b"{")
    calls: list[Any] = []
    original = LaneTrainer.train
    monkeypatch.setattr(LaneTrainer, "train", lambda self, *a, **b: calls.append(1) or original(self, *a, **b))
    run(tmp_path, dataset)
    assert len(calls) == trained
    assert (tmp_path / "path.json").read_bytes() == before


def cut_short(folder: pathlib.Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains the path anew, but keeps the weights of every point."""
    for path in (folder / "chunks").iterdir():
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "unlink", lambda self, missing_ok=False: None)
        run(folder, dataset)


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_weights_that_cannot_be_used_cost_the_points_before(tmp_path: pathlib.Path, dataset: Dataset,
                                                            damage: str) -> None:
    said: list[str] = []
    console = Console()
    console.warning = said.append  # type: ignore[method-assign]
    run(tmp_path, dataset)
    before = (tmp_path / "path.json").read_bytes()
    (tmp_path / "chunks" / "point-003.json").unlink()
    if damage == "changed":
        np.savez(tmp_path / "chunks" / "point-002.npz", **{"logits/kernel": np.ones(3)})
    run(tmp_path, dataset, console=console)
    assert (tmp_path / "path.json").read_bytes() == before
    [line] = said
    assert f"{tmp_path / 'chunks' / 'point-002.npz'} {'is missing' if damage == 'gone' else 'is damaged'}" in line
    assert "all points are trained again" in line


def test_a_folder_in_the_place_of_weights_is_named_before_anything_is_touched(
        tmp_path: pathlib.Path, dataset: Dataset, tree: Callable[[pathlib.Path], dict[str, bytes | None]]) -> None:
    run(tmp_path, dataset)
    (tmp_path / "chunks" / "point-003.json").unlink()
    (tmp_path / "chunks" / "point-002.npz").mkdir()
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match="point-002.npz is a folder, and a file is to be there: move it away"):
        run(tmp_path, dataset)
    assert tree(tmp_path) == before


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


def test_a_schedule_that_has_an_end_is_refused(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    from reglab.sweep import path as walk

    with pytest.raises(ConfigError, match="^--schedule=cosine: --path trains until the objective has settled"):
        walk(dataclasses.replace(SHARED, schedule="cosine", model_dir=str(tmp_path)), GRID, data=dataset)
    assert not list(tmp_path.iterdir())
