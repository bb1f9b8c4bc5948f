"""A sweep gives what its points give alone, whatever happens to it on the way."""

from __future__ import annotations

import csv
import dataclasses
import errno
import json
import os
import pathlib
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.console import Console
from reglab.data import Dataset
from reglab.lab.grid import Grid
from reglab.storage import files
from reglab.storage.files import StorageError
from tests.older import older_sweep

pytestmark = pytest.mark.usefixtures("shared_compilation")

SHARED = Config(hidden=(5,), activation="tanh", batch_size=8, epochs=2, precision="float64", jit=False, seed=3)
SOFTMAX = dataclasses.replace(SHARED, hidden=())  # For what has several programs, and is not about the network.
GRID = Grid(l1=(0.0, 0.01), l2=(0.0, 0.02), learning_rate=(1e-2, 3e-2), penalize=("all", "dense_0"))
SMALL = Grid(l1=(0.0, 0.01, 0.1), l2=(0.0, 0.02))


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every `LaneTrainer` that sweeps make."""
    from reglab.sweep import chunk_runner

    made: list[Any] = []

    class Recorded(chunk_runner.LaneTrainer):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.sets: list[Any] = []
            made.append(self)

        def train(self, lanes: Any, **options: Any) -> Any:
            self.sets.append(lanes)
            return super().train(lanes, **options)

    monkeypatch.setattr(chunk_runner, "LaneTrainer", Recorded)
    yield made


def run(path: pathlib.Path, dataset: Dataset, grid: Grid = SMALL, *, pictures: bool = False, winners: bool = False,
        **options: Any) -> Any:
    """A sweep, without pictures and winners unless they are asked for: they take longer than the lanes."""
    from reglab.sweep import experiment, outputs

    config = dataclasses.replace(options.pop("config", SHARED), model_dir=str(path))
    with pytest.MonkeyPatch.context() as patch:
        if not winners:
            patch.setattr(experiment, "train_winners", lambda *arguments: {})
        if not pictures:
            patch.setattr(outputs, "sweep_pictures", lambda *arguments: None)
        return experiment.sweep(config, grid, data=dataset, **options)


@pytest.mark.parametrize("jit", [False, True])
def test_each_lane_equals_the_same_configuration_trained_alone(tmp_path: pathlib.Path, dataset: Dataset,
                                                               jit: bool) -> None:
    from reglab.core.step import stack_lanes
    from reglab.lab.lanes import LaneTrainer
    from reglab.run.loop import fit
    from reglab.sweep.results import join_chunks

    done = run(tmp_path, dataset, GRID, seeds=2, lanes_per_call=12, config=dataclasses.replace(SHARED, jit=jit))
    curves = join_chunks([done.folder.read_json(f"chunks/chunk-{k:03}.json") for k in range(3)])
    lanes, shared = done.plan.lanes, done.plan.shared
    trainer = LaneTrainer(shared, dataset, 12, GRID.penalize)  # Of the same program.
    weights = stack_lanes([trainer.train(chunk.padded(12)).parameters for chunk in done.plan.chunks])
    assert len(lanes) == 32
    for at, lane in enumerate(lanes):
        if jit and at % 16:
            continue  # XLA and the lanes are shown by the first of each half; all lanes without it.
        alone = fit(dataclasses.replace(lane.config(shared), jit=False), dataset)
        last = alone.evaluations[-1]
        for name in ("data_loss", "accuracy"):
            assert curves.train[name][-1, at] == pytest.approx(last.train[name], rel=1e-10, abs=1e-10)
            assert curves.validation[name][-1, at] == pytest.approx(last.validation[name], rel=1e-10, abs=1e-10)
        assert curves.weights["penalty/total"][-1, at] == pytest.approx(last.weights["penalty/total"], rel=1e-10)
        for layer, arrays in alone.parameters.items():
            for part, array in arrays.items():
                np.testing.assert_allclose(weights[layer][part][divmod(at, 12)], array, rtol=0, atol=1e-10)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own, as it saves.
def test_the_winner_is_a_run_with_the_weights_of_its_lane(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    from reglab.export import export
    from reglab.lab.lanes import LaneTrainer
    from reglab.run.loop import fit

    done = run(tmp_path, dataset, seeds=2, winners=True)
    lanes = done.plan.lanes
    curves = LaneTrainer(done.plan.shared, dataset, len(lanes)).train(lanes)
    for name, at in (("winner", done.result["best"]), ("winner_1se", done.result["one_standard_error"])):
        if (tmp_path / name).exists():
            config = dataclasses.replace(Config.from_file(tmp_path / name / "config.json"), resume="must")
            weights = fit(config, dataset).parameters
            for layer, arrays in weights.items():
                for part, array in arrays.items():
                    np.testing.assert_allclose(curves.parameters[layer][part][2 * at], array, rtol=1e-10, atol=1e-12)
            exported = export(tmp_path / name).network.parameters
            np.testing.assert_array_equal(exported["logits"]["kernel"], weights["logits"]["kernel"])
    assert (tmp_path / "winner").exists()


def test_the_figures_of_a_point(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    done = run(tmp_path, dataset, seeds=3, pictures=True)
    curves = done.folder.read_json("chunks/chunk-000.json")
    assert done.result == json.loads((tmp_path / "sweep.json").read_text())
    losses = [row[3:6] for row in curves["validation"]["data_loss"]][-1]
    point = done.result["points"][1]
    assert point["validation"]["data_loss"] == pytest.approx(
        {"mean": np.mean(losses), "se": np.std(losses, ddof=1) / 3**.5})
    assert point["gap"]["data_loss"]["mean"] == pytest.approx(point["validation"]["data_loss"]["mean"]
                                                         - point["train"]["data_loss"]["mean"])
    entries = 6 * 5 + 5 * 3
    assert curves["kernel_entries"] == entries
    assert point["nonzero"]["mean"] == pytest.approx(entries * (1 - point["sparsity"]["mean"]))
    rows = list(csv.DictReader((tmp_path / "sweep.csv").read_text().splitlines()))
    assert len(rows) == 6
    assert float(rows[1]["validation_data_loss_mean"]) == point["validation"]["data_loss"]["mean"]
    assert [row["best"] for row in rows].index("1") == done.result["best"]
    assert (tmp_path / "heatmap.png").exists()
    assert len(list((tmp_path / "tensorboard").iterdir())) == 6 + 1


def test_one_compilation_serves_all_chunks_and_padding_changes_nothing(tmp_path: pathlib.Path, dataset: Dataset,
                                                                       trainers: list[Any]) -> None:
    whole = run(tmp_path / "whole", dataset, seeds=2)
    parts = run(tmp_path / "parts", dataset, seeds=2, lanes_per_call=5)
    assert [len(trainer.sets) for trainer in trainers] == [1, 3]
    assert trainers[1]._groups.trainings[0].program.run.experimental_get_tracing_count() == 1
    for one, other in zip(whole.result["points"], parts.result["points"], strict=True):
        assert one["validation"]["data_loss"]["mean"] == pytest.approx(
            other["validation"]["data_loss"]["mean"], rel=1e-10)


@pytest.mark.parametrize(("folds", "compilations"), [(2, 2), (4, 2)])
def test_cross_validation(tmp_path: pathlib.Path, dataset: Dataset, trainers: list[Any], folds: int,
                          compilations: int) -> None:
    from reglab.run.loop import fit
    from reglab.sweep.folds import fold_dataset, fold_of_examples

    done = run(tmp_path, dataset, Grid(l1=(0.0, 0.1)), seeds=2, folds=folds, config=SOFTMAX)
    assert len(trainers) == compilations  # 73 examples: one fold, or one size of folds, has one more.
    assert all(trainer._groups.trainings[0].program.run.experimental_get_tracing_count() == 1 for trainer in trainers)
    assert done.result["points"][1]["lanes"] == 2 * folds
    means = [np.mean([fit(done.plan.lanes[2 + seed].config(done.plan.shared),
                          fold_dataset(dataset, folds, k, seed=3)).evaluations[-1].validation["data_loss"]
                      for seed in range(2)]) for k in range(folds)]
    both = np.concatenate([dataset.train.y, dataset.validation.y])
    sizes = np.bincount(fold_of_examples(both, folds, seed=3))
    mean = np.average(means, weights=sizes)  # As cv.glmnet has them.
    expected = {"mean": mean, "se": (np.average((means - mean)**2, weights=sizes) / (folds - 1))**0.5}
    assert done.result["points"][1]["validation"]["data_loss"] == pytest.approx(expected, rel=1e-9)


def test_equal_folds_share_one_compilation(tmp_path: pathlib.Path, dataset: Dataset, trainers: list[Any]) -> None:
    even = dataclasses.replace(dataset, train=dataset.train.take(np.arange(50)))
    done = run(tmp_path, even, Grid(l1=(0.0, 0.1)), folds=5, winners=True, config=SOFTMAX)
    assert done.winners["best"]["dataset"].startswith("made: 50 training and 20 validation")
    assert [len(trainer.sets) for trainer in trainers] == [5]
    assert trainers[0]._groups.trainings[0].program.run.experimental_get_tracing_count() == 1


class Killed(BaseException):
    """Stands for kill -9: nothing may catch it and tidy up."""


@pytest.mark.parametrize(("chunk", "step"), [(0, 3), (1, 1), (2, 9)])
def test_a_killed_sweep_goes_on_and_ends_with_the_same_bytes(tmp_path: pathlib.Path, dataset: Dataset, chunk: int,
                                                             step: int, trainers: list[Any],
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    from reglab.sweep.progress import Progress

    run(tmp_path / "whole", dataset, seeds=2, lanes_per_call=5)
    original: Callable[..., None] = Progress.on_step

    def deadly(self: Any, lanes: int, at: int) -> None:
        original(self, lanes, at)
        if self._chunks_done == chunk and at >= step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "on_step", deadly)
        with pytest.raises(Killed):
            run(tmp_path / "killed", dataset, seeds=2, lanes_per_call=5)
    assert len(list((tmp_path / "killed" / "chunks").iterdir())) == chunk
    run(tmp_path / "killed", dataset, seeds=2)
    assert len(trainers[-1].sets) == 3 - chunk
    for name in ("sweep.json", "sweep.csv", "plan.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    run(tmp_path / "killed", dataset, seeds=2)
    assert not trainers[-1].sets


def put_in_place_of_chunk_1(folder: pathlib.Path, other: pathlib.Path, damage: str) -> None:
    chunks, chunk = folder / "chunks", folder / "chunks" / "chunk-001.json"
    if damage == "chunk 0":
        shutil.copy(chunks / "chunk-000.json", chunk)
    elif damage == "another sweep":
        shutil.copy(other / "chunks" / "chunk-001.json", chunk)
    elif damage == "truncated":
        chunk.write_text(chunk.read_text()[:1000])
    else:
        content = json.loads(chunk.read_text())
        if damage == "an older reglab":
            del content["part"], content["digest"]
        else:
            content["validation"]["data_loss"][-1][0] = 0.0
        chunk.write_text(json.dumps(content))


@pytest.mark.parametrize(("damage", "said"), [
    ("chunk 0", "holds part 0 in place of part 1"), ("another sweep", "is of another sweep"),
    ("truncated", "is damaged"), ("by hand", "is damaged or was changed"),
    ("an older reglab", "as an older reglab wrote it")])
def test_a_chunk_that_is_not_the_one_is_named_and_trained_again(tmp_path: pathlib.Path, dataset: Dataset,
                                                                trainers: list[Any], damage: str, said: str) -> None:
    said_: list[str] = []
    console = Console()
    console.warning = said_.append  # type: ignore[method-assign]
    run(tmp_path / "a", dataset, seeds=2, lanes_per_call=5)
    if damage == "another sweep":
        run(tmp_path / "b", dataset, seeds=2, lanes_per_call=5, config=dataclasses.replace(SHARED, seed=4))
    before = (tmp_path / "a" / "sweep.json").read_bytes()
    put_in_place_of_chunk_1(tmp_path / "a", tmp_path / "b", damage)
    for name in ("sweep.json", "sweep.csv"):
        (tmp_path / "a" / name).write_text("{")
    run(tmp_path / "a", dataset, seeds=2, console=console)
    assert (tmp_path / "a" / "sweep.json").read_bytes() == before
    assert len(trainers[-1].sets) == 1
    [line] = said_
    assert line.startswith(f"{tmp_path / 'a' / 'chunks' / 'chunk-001.json'} ") and line.endswith(": trained again")
    assert said in line


def test_what_an_earlier_reglab_finished_is_not_trained_again(tmp_path: pathlib.Path, dataset: Dataset,
                                                              trainers: list[Any]) -> None:
    run(tmp_path, dataset, seeds=2, lanes_per_call=5)
    names = ("sweep.json", "sweep.csv", "plan.json")
    before = [(tmp_path / name).read_bytes() for name in names]
    older_sweep(tmp_path)
    assert b'"selection": "data"' in (tmp_path / "plan.json").read_bytes()
    assert b"data_loss" not in (tmp_path / "chunks" / "chunk-001.json").read_bytes()
    (tmp_path / "chunks" / "chunk-002.json").unlink()
    for trained in (1, 0):  # Its plan is now written as today, and its chunks are still the plan's.
        run(tmp_path, dataset, seeds=2)
        assert len(trainers[-1].sets) == trained
        assert [(tmp_path / name).read_bytes() for name in names] == before


def test_a_sweep_is_not_resumed_on_other_data(tmp_path: pathlib.Path, dataset: Dataset,
                                              tree: Callable[..., Any]) -> None:
    run(tmp_path, dataset, seeds=2)
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match="holds another sweep .data: "):
        run(tmp_path, dataclasses.replace(dataset, divisor=2.0), seeds=2)
    assert tree(tmp_path) == before


def test_files_that_are_not_the_sweeps_stay(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    done = run(tmp_path, dataset)
    places = [tmp_path / "tensorboard" / "notes.txt", tmp_path / "tensorboard" / "mine" / "events.out.tfevents.1.host",
              next((tmp_path / "tensorboard").glob("0*")) / "train" / "events.out.tfevents.1.host"]
    for place in places:
        place.parent.mkdir(exist_ok=True)
        place.write_text("mine")
    assert run(tmp_path, dataset).result == done.result
    assert [place.read_text() for place in places] == ["mine"] * 3
    assert len(list((tmp_path / "tensorboard").rglob("*.reglab"))) == 12 + 1


@pytest.mark.parametrize("name", ["plan.json", "sweep.json", "chunks", "chunks/chunk-000.json", "tensorboard"])
@pytest.mark.parametrize("kind", ["link", "other"])
def test_what_stands_in_the_place_of_a_file_is_named_at_the_start(tmp_path: pathlib.Path, dataset: Dataset, name: str,
                                                                  kind: str) -> None:
    run(tmp_path, dataset)
    path = tmp_path / name
    is_folder = path.is_dir()
    path.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    if kind == "link":
        path.symlink_to("nothing")
    elif is_folder:
        path.write_text("mine")
    else:
        path.mkdir()
    with pytest.raises(ConfigError, match=f"{path} is .*: move it away"):
        run(tmp_path, dataset)


def test_a_damaged_plan_is_named(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    run(tmp_path, dataset)
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(ConfigError, match="holds a sweep's plan.json that is damaged: put it back"):
        run(tmp_path, dataset)


def test_a_refusal_of_the_file_system_is_one_line_and_the_same_call_goes_on(tmp_path: pathlib.Path, dataset: Dataset,
                                                                           trainers: list[Any],
                                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "whole", dataset, seeds=2, lanes_per_call=5)
    original = files.os.replace

    def full(source: Any, target: Any) -> None:
        if str(target).endswith("chunk-001.json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))
        original(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", full)
        with pytest.raises(StorageError) as caught:
            run(tmp_path / "full", dataset, seeds=2, lanes_per_call=5)
    assert str(caught.value) == (f"{tmp_path / 'full' / 'chunks' / 'chunk-001.json'} cannot be written (No space left "
                                 "on device): make room on that file system, then start the same again")
    assert sorted(path.name for path in (tmp_path / "full").rglob("*")) == ["chunk-000.json", "chunks", "plan.json"]
    run(tmp_path / "full", dataset, seeds=2)
    assert len(trainers[-1].sets) == 2
    assert (tmp_path / "full" / "sweep.json").read_bytes() == (tmp_path / "whole" / "sweep.json").read_bytes()


def test_a_stop_signal_ends_it_soon_and_keeps_finished_chunks(tmp_path: pathlib.Path, dataset: Dataset,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    from reglab.sweep.progress import Progress, Stopped

    original: Callable[..., None] = Progress.trained

    def then_stop(self: Any, *of_chunk: Any) -> None:
        original(self, *of_chunk)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Progress, "trained", then_stop)
    with pytest.raises(Stopped, match="stopped by SIGTERM, 1 of 3 chunks finished"):
        run(tmp_path, dataset, seeds=2, lanes_per_call=5)
    assert [path.name for path in (tmp_path / "chunks").iterdir()] == ["chunk-000.json"]


def test_a_lane_that_diverges_is_marked_and_harms_no_other(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    config = dataclasses.replace(SHARED, optimizer="sgd")
    alone = run(tmp_path / "alone", dataset, Grid(l2=(0.0, 0.1)), seeds=2, config=config)
    both = run(tmp_path / "both", dataset, Grid(l2=(0.0, 1e40)), seeds=2, config=config)
    good, bad = both.result["points"]
    assert good["validation"]["data_loss"]["mean"] == pytest.approx(
        alone.result["points"][0]["validation"]["data_loss"]["mean"], rel=1e-10)
    nothing = {"mean": None, "se": None}
    assert (bad["diverged"], bad["validation"]["data_loss"], bad["nonzero"]) == (2, nothing, nothing)
    assert (both.result["best"], both.result["one_standard_error"]) == (0, 0)
    assert both.result["findings"]["sentences"][1:] == ["1 of 2 points had lanes that diverged and is not compared."]


@pytest.mark.parametrize("lanes_per_call", [2, 3])
def test_each_seed_may_have_an_order_of_its_own(tmp_path: pathlib.Path, dataset: Dataset, trainers: list[Any],
                                                lanes_per_call: int) -> None:
    from reglab.run.loop import fit
    from reglab.sweep.results import join_chunks

    grid = Grid(l1=(0.0, 0.01, 0.1))
    done = run(tmp_path, dataset, grid, seeds=2, vary="order", lanes_per_call=lanes_per_call)
    assert len(trainers[0].sets) == 2 * (2 if lanes_per_call == 2 else 1)
    assert all(len({lane.seed for lane in lanes}) == 1 for lanes in trainers[0].sets), "a set is on one order"
    losses = join_chunks([done.folder.read_json(path.relative_to(tmp_path)) for path in
                          sorted((tmp_path / "chunks").iterdir())]).validation["data_loss"][-1]
    for at, point in enumerate(done.result["points"]):
        alone = [fit(dataclasses.replace(SHARED, l1=grid.l1[at], learning_rate=1e-3, seed=3 + i, data_seed=3 + i),
                     dataset).evaluations[-1].validation["data_loss"] for i in range(2)]
        assert losses[done.plan.places[at]] == pytest.approx(alone, rel=1e-10)
        assert point["validation"]["data_loss"]["mean"] == pytest.approx(np.mean(alone), rel=1e-10)
    assert (done.result["vary"], json.loads((tmp_path / "plan.json").read_text())["vary"]) == ("order", "order")
    assert "paired over 2 seeds and orders on one split" in done.result["findings"]["sentences"][0]
    with pytest.raises(ConfigError, match="holds another sweep"):
        run(tmp_path, dataset, grid, seeds=2, lanes_per_call=lanes_per_call)


def test_nothing_to_sweep_is_refused(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="nothing to sweep: give several values to --l1, --l2, --learning_rate or"):
        run(tmp_path, dataset, Grid(l1=(0.01,)), seeds=3)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("change", "named"), [
    ({"grid": Grid(l1=(0.0, 0.5))}, "l1: "), ({"seeds": 3}, "seeds: 3, not 2"),
    ({"selection": "accuracy"}, "selection: "),
    ({"config": dataclasses.replace(SHARED, epochs=5)}, "epochs: 5, not 2"), ({"lanes_per_call": 7}, "lanes_per_call"),
    ({"config": dataclasses.replace(SHARED, resume="never")}, "--resume=never")])
def test_the_folder_of_another_sweep_is_refused(tmp_path: pathlib.Path, dataset: Dataset, change: dict[str, Any],
                                                named: str, tree: Callable[..., Any]) -> None:
    from reglab.sweep.files import SweepFolder
    from reglab.sweep.plan import Plan, shared_config

    plan = Plan(shared_config(SHARED, SMALL), SMALL, 2, None, "data_loss", 4)
    SweepFolder(str(tmp_path), "auto").open(plan.to_dict())
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match=named):
        run(tmp_path, dataset, **{"seeds": 2, **change})
    assert tree(tmp_path) == before


def test_a_folder_with_something_else_is_refused(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="holds config.json but no readable plan.json"):
        run(tmp_path, dataset)
