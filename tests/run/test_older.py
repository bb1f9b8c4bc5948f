"""The folder of a run that an earlier reglab left, which had other names and tags: opened, resumed, compared."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.console import Console
from reglab.core.parameters import map_arrays
from reglab.data import Dataset
from reglab.run.kept_run import kept_config, kept_result
from reglab.run.loop import History, Interrupted, fit
from reglab.run.older import with_data_loss
from reglab.storage.reading import read_sealed, sealed
from reglab.trained.network import read_network
from tests.older import older_run

WRITTEN_AGAIN = "metrics.jsonl and event files have the tags of an earlier reglab: written again under those of today"

pytestmark = pytest.mark.usefixtures("shared_compilation")

# 53 examples in batches of 8: 7 steps an epoch, 21 in all.
CONFIG = Config(hidden=(4,), batch_size=8, epochs=3, l1=0.01, learning_rate=0.01, jit=False)


def told(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what the clock decides."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{tag: value for tag, value in line.items() if not tag.startswith("perf/")} for line in lines]


def trained(folder: pathlib.Path, dataset: Dataset, until: int | None = None) -> tuple[History, list[str]]:
    said: list[str] = []
    console = Console()
    console.warning = said.append  # type: ignore[method-assign]
    return fit(dataclasses.replace(CONFIG, model_dir=str(folder)), dataset, console=console, until=until), said


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> History:
    return trained(tmp_path_factory.mktemp("whole"), dataset)[0]


def test_figures_get_their_name_of_today() -> None:
    assert with_data_loss({"data": 1.0, "accuracy": 0.5}) == {"data_loss": 1.0, "accuracy": 0.5}
    assert with_data_loss({"data": 1.0, "data_loss": 2.0}) == {"data": 1.0, "data_loss": 2.0}
    assert with_data_loss(None) is None


def test_a_finished_run_is_told_as_ever_and_its_files_stay(tmp_path: pathlib.Path, dataset: Dataset,
                                                           tree: Callable[..., Any]) -> None:
    first, _ = trained(tmp_path, dataset)
    older_run(tmp_path)
    result, best = tmp_path / "result.json", tmp_path / "checkpoints" / "best" / "best.json"
    kept = result.read_bytes(), best.read_bytes()
    assert b'"data"' in kept[0] and b'"data"' in kept[1] and b"data_loss" not in kept[0] + kept[1]
    again, said = trained(tmp_path, dataset)
    assert (again.result, said) == (first.result, [WRITTEN_AGAIN])
    assert trained(tmp_path, dataset)[1] == [], "once"
    assert kept_result(tmp_path) == first.result
    assert (result.read_bytes(), best.read_bytes()) == kept


@pytest.mark.parametrize("until", [10, 14])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path: pathlib.Path, dataset: Dataset, whole: History,
                                                     until: int) -> None:
    with pytest.raises(Interrupted):
        trained(tmp_path, dataset, until)
    older_run(tmp_path)
    assert "data" in json.loads((tmp_path / "checkpoints" / "best" / "best.json").read_text())
    found, said = trained(tmp_path, dataset)
    assert said == [WRITTEN_AGAIN] and found.result["best"] == whole.result["best"]
    assert found.result["validation"] == whole.result["validation"]
    map_arrays(np.testing.assert_array_equal, found.parameters, whole.parameters)


def test_a_best_state_is_found_again_by_its_label_alone(tmp_path: pathlib.Path, dataset: Dataset,
                                                        whole: History) -> None:
    trained(tmp_path, dataset)
    older_run(tmp_path)
    (tmp_path / "checkpoints" / "best" / "best.json").unlink()
    (tmp_path / "result.json").unlink()
    found, said = trained(tmp_path, dataset)
    assert found.result["best"] == whole.result["best"]
    assert any("its label tells" in line for line in said)


def with_two_splits(folder: pathlib.Path) -> None:
    """As an earlier reglab left it: its data told no sizes, and the configuration a split that was not used."""
    facts = json.loads((folder / "data.json").read_text())
    facts = {name: facts[name] for name in ("description", "digest", "input_shape", "divisor", "classes")}
    (folder / "data.json").write_text(json.dumps(facts, indent=2) + "\n")
    of_run = {**read_sealed(folder / "run.json"), "data": facts}
    of_run["config"] = {**of_run["config"], "validation_split": 0.2}
    (folder / "run.json").write_text(sealed(of_run))
    (folder / "config.json").write_text(json.dumps(of_run["config"], indent=2) + "\n")


def test_a_run_that_was_validated_on_the_test_part_goes_on_as_such_and_on_nothing_else(tmp_path: pathlib.Path) -> None:
    config = Config(hidden=(4,), train_size=100, epochs=2, jit=False, model_dir=str(tmp_path), validation_split=0.0)
    with pytest.raises(Interrupted):
        fit(config, until=5)
    with_two_splits(tmp_path)
    assert kept_config(tmp_path).validation_split == 0
    with pytest.raises(ConfigError, match=r"holds a run on other data \(digest .*\): .*; an earlier reglab trained it, "
                                          "which validated on the test part, as --validation_split=0 does$"):
        fit(dataclasses.replace(config, validation_split=0.2))
    assert fit(config).result["completed"]
    assert json.loads((tmp_path / "config.json").read_text())["validation_split"] == 0
    assert json.loads((tmp_path / "data.json").read_text())["validated_on_test"] is True
    with pytest.raises(ConfigError, match=r"another configuration \(validation_split: 0.2, not 0.0\)"):
        fit(dataclasses.replace(config, validation_split=0.2))


def test_a_run_on_data_without_a_test_part_goes_on_as_it_is(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    with pytest.raises(Interrupted):
        trained(tmp_path, dataset, 10)
    with_two_splits(tmp_path)
    assert trained(tmp_path, dataset)[0].result["completed"]


@pytest.mark.parametrize("state", ["best", "last"])
def test_it_is_exported_with_its_losses(tmp_path: pathlib.Path, dataset: Dataset, whole: History, state: str) -> None:
    trained(tmp_path, dataset)
    older_run(tmp_path)
    noted = whole.result["best"] if state == "best" else whole.result["validation"]
    assert read_network(tmp_path, state).validation == {name: noted[name] for name in ("data_loss", "accuracy")}


@pytest.mark.parametrize("until", [10, 14])
@pytest.mark.parametrize("fields", [{}, {"histograms": True, "summary_every": 0}])
def test_its_logs_go_on_under_the_tags_of_today_and_lack_no_point(
        tmp_path: pathlib.Path, dataset: Dataset, until: int, fields: dict[str, Any],
        read_events: Callable[..., Any]) -> None:
    """Lines, points and histograms are those of a run that was never interrupted and never older."""
    config = dataclasses.replace(CONFIG, **{"summary_every": 3, **fields})
    for name in ("whole", "older"):
        with pytest.raises(Interrupted):
            fit(dataclasses.replace(config, model_dir=str(tmp_path / name)), dataset, until=until)
    older_run(tmp_path / "older")
    assert "evaluation/loss/data" in (tmp_path / "older" / "metrics.jsonl").read_text()
    for name in ("whole", "older"):
        fit(dataclasses.replace(config, model_dir=str(tmp_path / name)), dataset)
    assert told(tmp_path / "older") == told(tmp_path / "whole")
    for split in ("train", "validation"):
        mine, theirs = (read_events(tmp_path / name / split) for name in ("older", "whole"))
        assert mine.keys() == theirs.keys()
        for tag in set(mine) - {"about/run", "_hparams_/session_start_info"}:
            if not tag.startswith("perf/"):
                assert [step for step, _ in mine[tag]] == [step for step, _ in theirs[tag]], tag
                np.testing.assert_array_equal([value for _, value in mine[tag]], [value for _, value in theirs[tag]])


@pytest.mark.parametrize("lost", ["metrics.jsonl", "train", "validation"])
def test_what_is_lost_of_its_logs_is_made_good_from_the_rest(tmp_path: pathlib.Path, dataset: Dataset, lost: str,
                                                             read_events: Callable[..., Any]) -> None:
    with pytest.raises(Interrupted):
        trained(tmp_path, dataset, 14)
    older_run(tmp_path)
    for path in [tmp_path / lost] if lost == "metrics.jsonl" else list((tmp_path / lost).iterdir()):
        path.unlink()
    trained(tmp_path, dataset)
    for split in ("train", "validation"):
        assert [step for step, _ in read_events(tmp_path / split)["epoch/data_loss"]] == [7, 14, 21]
    assert [line["step"] for line in told(tmp_path) if "epoch/data_loss" in line] == [7, 7, 14, 14, 21, 21]
