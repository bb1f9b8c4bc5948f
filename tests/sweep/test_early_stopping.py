"""A sweep with early stopping: the same whatever shares a program, and however it was interrupted."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.console import Console
from reglab.data import Dataset
from reglab.lab.grid import Grid
from reglab.sweep.progress import Stopped

pytestmark = pytest.mark.usefixtures("shared_compilation", "without_pictures")

CONFIG = Config(hidden=(6,), batch_size=8, epochs=8, patience=2, precision="float64", jit=False, seed=3)
GRID = Grid(l1=(0.0, 0.01), learning_rate=(0.3, 0.01))
KEPT = ("validation", "train", "gap", "sparsity", "trained_epochs")


class Stopper(Console):
    """Asks the sweep to stop after a number of its steps."""

    def __init__(self, after: int) -> None:
        self._after = after

    def progress(self, step: int, epoch: int, losses: Any) -> None:
        if step >= self._after:
            raise Stopped("SIGTERM", 0, 0, "chunks")


def run(folder: pathlib.Path, dataset: Dataset, *, winners: bool = False, **options: Any) -> Any:
    from reglab.sweep import experiment

    config = dataclasses.replace(CONFIG, model_dir=str(folder))
    with pytest.MonkeyPatch.context() as patch:
        if not winners:
            patch.setattr(experiment, "train_winners", lambda *arguments: {})
        return experiment.sweep(config, options.pop("grid", GRID), data=dataset, **options)


def assert_same_points(mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    for one, other in zip(mine, theirs, strict=True):
        for name in KEPT:
            values = [np.array(list(_numbers(point[name])), float) for point in (one, other)]
            np.testing.assert_allclose(*values, rtol=1e-10, atol=1e-13, err_msg=name)


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _numbers(inner)
    else:
        yield value


OPTIONS = {"seeds": 2, "vary": "order", "lanes_per_call": 3}
"""Each seed has an order of the data of its own: two chunks of three lanes, and two of one."""


@pytest.fixture(scope="module")
def whole(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(tmp_path_factory.mktemp("sweep") / "whole", dataset, winners=True, **OPTIONS)


def test_what_it_saved_is_counted(whole: Any) -> None:
    saved = whole.result["early_stopping"]
    trained = [epochs for path in sorted((whole.folder.path / "chunks").iterdir())
               for epochs in json.loads(path.read_text())["trained"]]
    assert len(trained) == 8 == saved["lanes"] and len(set(trained)) > 2
    assert saved["lane_steps"] == sum(trained) * 7 and saved["lane_steps_of_all_epochs"] == 8 * 8 * 7
    assert saved["stopped"] == sum(epochs < 8 for epochs in trained)
    assert saved["saved"] == 1 - sum(trained) / (8 * 8)
    assert np.mean([point["trained_epochs"]["mean"] for point in whole.result["points"]]) == np.mean(trained)
    assert "trained_epochs_mean" in (whole.folder.path / "sweep.csv").read_text().splitlines()[0]


def test_it_does_not_depend_on_who_shares_a_program(whole: Any, dataset: Dataset, tmp_path: pathlib.Path) -> None:
    other = run(tmp_path / "sweep", dataset, **{**OPTIONS, "lanes_per_call": 8})
    assert_same_points(whole.result["points"], other.result["points"])
    assert whole.result["early_stopping"] == other.result["early_stopping"]


def test_the_winner_alone_is_the_lane_that_won(whole: Any) -> None:
    alone, place = whole.winners["best"], whole.plan.places[whole.result["best"], 0]
    chunk = next(chunk for chunk in whole.plan.chunks if chunk.first <= place < chunk.first + len(chunk.lanes))
    kept = whole.folder.read_json(f"chunks/chunk-{chunk.number:03}.json")
    lane = place - chunk.first
    assert kept["trained"][lane] == alone["early_stopping"]["epochs"]
    for split in ("train", "validation"):
        for name in ("data_loss", "accuracy"):
            np.testing.assert_allclose(kept[split][name][kept["ends"][lane]][lane], alone[split][name], rtol=1e-10)


def test_interrupted_it_ends_with_the_same_result(whole: Any, dataset: Dataset, tmp_path: pathlib.Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path / "sweep", dataset, console=Stopper(300), **OPTIONS)
    assert 0 < len(list((tmp_path / "sweep" / "chunks").glob("chunk-*.json"))) < 4
    done = run(tmp_path / "sweep", dataset, **OPTIONS)
    assert done.result["early_stopping"] == whole.result["early_stopping"]
    assert_same_points(done.result["points"], whole.result["points"])


def test_folds_of_two_sizes(dataset: Dataset, tmp_path: pathlib.Path) -> None:
    """Of 73 examples, the first of three folds leaves 48 to train on, and the others 49: programs of their own."""
    done = run(tmp_path / "sweep", dataset, grid=Grid(learning_rate=(0.3, 0.1)), folds=3, lanes_per_call=2)
    assert [point["lanes"] for point in done.result["points"]] == [3, 3]
    assert done.result["early_stopping"]["lanes"] == 6
    assert json.loads((tmp_path / "sweep" / "timing.json").read_text())["place_steps"] > 0


def test_chunks_of_different_lengths_are_joined() -> None:
    from reglab.sweep.results import join_chunks

    def chunk(rows: list[list[float]], ends: list[int], trained: list[int]) -> dict[str, Any]:
        part = {"data_loss": rows, "accuracy": rows}
        return {"epochs": [2 * (at + 1) for at in range(len(rows))], "train": part, "validation": part,
                "weights": {"penalty/total": rows}, "ends": ends, "trained": trained, "kernel_entries": 7}

    curves = join_chunks([chunk([[3.0, 1.0], [2.0, 1.0]], [1, 0], [4, 2]), chunk([[5.0], [4.0], [6.0]], [1], [6])])
    assert curves.epochs.tolist() == [2, 4, 6]
    assert curves.train["data_loss"].tolist() == [[3.0, 1.0, 5.0], [2.0, 1.0, 4.0], [2.0, 1.0, 6.0]]
    assert curves.final(curves.train["data_loss"]).tolist() == [2.0, 1.0, 4.0]
    assert curves.trained is not None and curves.trained.tolist() == [4, 2, 6]


def test_a_path_refuses_it(dataset: Dataset, tmp_path: pathlib.Path) -> None:
    from reglab.sweep.pathway import path

    with pytest.raises(ConfigError, match="^--patience=2: --path stays at each strength until"):
        path(dataclasses.replace(CONFIG, model_dir=str(tmp_path / "path")), Grid(l1=(0.0, 0.1)), data=dataset)
