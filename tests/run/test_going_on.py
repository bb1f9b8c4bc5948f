"""`--epochs=20` in the folder of a run of 10: the run of 20 to the last bit, or a refusal that changes nothing."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config, ConfigError
from reglab.data import Dataset
from reglab.run import opening
from reglab.run.early_stopping import EarlyStopping
from reglab.run.loop import Interrupted, fit
from reglab.run.run_directory import RunDirectory

pytestmark = pytest.mark.usefixtures("shared_compilation")

# 53 examples in batches of 8: 7 steps an epoch. The validation loss is lowest after a few epochs.
CONFIG = Config(hidden=(16,), batch_size=8, epochs=4, learning_rate=0.03, warmup_steps=3, summary_every=5, jit=False,
                histograms=True)
LONG = 7


@pytest.fixture(scope="module")
def folders(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[int, pathlib.Path]:
    """Runs of 4 and of 7 epochs, never interrupted."""
    at = tmp_path_factory.mktemp("runs")
    for epochs in (4, LONG):
        fit(_at(at / str(epochs), epochs=epochs), dataset)
    return {epochs: at / str(epochs) for epochs in (4, LONG)}


@pytest.fixture
def short(folders: dict[int, pathlib.Path], tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of the run of 4 epochs."""
    shutil.copytree(folders[4], tmp_path / "run")
    return tmp_path / "run"


def test_it_becomes_the_longer_run(folders: dict[int, pathlib.Path], short: pathlib.Path, dataset: Dataset,
                                   read_events: Callable[..., Any]) -> None:
    fit(_at(short, epochs=LONG), dataset)
    _assert_same(short, folders[LONG], read_events)
    assert fit(_at(short, epochs=LONG), dataset).result["epochs"] == LONG  # Complete, and read back as such.


def test_before_its_end_too(folders: dict[int, pathlib.Path], dataset: Dataset, tmp_path: pathlib.Path,
                            read_events: Callable[..., Any]) -> None:
    with pytest.raises(Interrupted):
        fit(_at(tmp_path / "run"), dataset, until=17)
    with pytest.raises(Interrupted):
        fit(_at(tmp_path / "run", epochs=LONG), dataset, until=30)
    fit(_at(tmp_path / "run", epochs=LONG), dataset)
    _assert_same(tmp_path / "run", folders[LONG], read_events)


@pytest.mark.parametrize(("owner", "name"), [
    (RunDirectory, "remove_result"), (opening, "forget_end"), (RunDirectory, "create")])
def test_killed_while_it_changes_the_folder_it_goes_on(owner: Any, name: str, short: pathlib.Path,
                                                       folders: dict[int, pathlib.Path], dataset: Dataset,
                                                       monkeypatch: pytest.MonkeyPatch,
                                                       read_events: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    def killed(*arguments: Any, **named: Any) -> None:
        original(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(owner, name, killed)
        fit(_at(short, epochs=LONG), dataset)
    fit(_at(short, epochs=LONG), dataset)
    _assert_same(short, folders[LONG], read_events)


def test_an_evaluation_that_the_longer_run_does_not_make_is_dropped(dataset: Dataset, tmp_path: pathlib.Path,
                                                                    read_events: Callable[..., Any]) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    fit(_at(run, epochs=9, evaluate_every=2), dataset)  # Evaluated after the 9th too, long after its best state.
    fit(_at(run, epochs=12, evaluate_every=2), dataset)
    fit(_at(whole, epochs=12, evaluate_every=2), dataset)
    _assert_same(run, whole, read_events)


def test_what_stopped_early_goes_on_with_more_patience(dataset: Dataset, tmp_path: pathlib.Path,
                                                       read_events: Callable[..., Any]) -> None:
    first = fit(_at(tmp_path / "run", epochs=40, patience=1), dataset)
    assert first.result["early_stopping"]["stopped"]
    more = [fit(_at(tmp_path / name, epochs=40, patience=3), dataset) for name in ("run", "whole")]
    assert more[0].result["early_stopping"] == more[1].result["early_stopping"]
    _assert_same(tmp_path / "run", tmp_path / "whole", read_events)
    with pytest.raises(ConfigError, match=r"with --patience=3, which cannot go on with --patience=2, since it may"):
        fit(_at(tmp_path / "run", epochs=40, patience=2), dataset)


@pytest.mark.parametrize(("fields", "message"), [
    ({"epochs": 3}, "with --epochs=4, which cannot go on with --epochs=3, since it has done 4 already: name another "
                    "folder, or go on with --epochs=4"),
    ({"epochs": 9, "patience": 2}, "with no --patience, which cannot go on with --patience=2, since it did not count"),
    ({"epochs": 9, "l1": 0.5}, "another configuration .*epochs: 9, not 4")])
def test_what_it_cannot_become_is_refused_and_nothing_is_changed(fields: dict[str, Any], message: str,
                                                                 short: pathlib.Path, dataset: Dataset,
                                                                 tree: Callable[..., Any]) -> None:
    before = tree(short)
    with pytest.raises(ConfigError, match=message):
        fit(_at(short, **fields), dataset)
    assert tree(short) == before


@pytest.mark.parametrize(("fields", "message"), [
    ({"schedule": "cosine"}, "since with --schedule=cosine the number of epochs decides on every learning rate"),
    ({"max_points": 4}, "since with --max_points=4 that would have written other steps"),
    ({"evaluate_every": 3}, r"since its best state is that of epoch 4, .*\(--evaluate_every=3\)")])
def test_a_run_that_depends_on_its_epochs_is_refused(fields: dict[str, Any], message: str, dataset: Dataset,
                                                     tmp_path: pathlib.Path) -> None:
    fit(_at(tmp_path / "run", **fields), dataset)
    with pytest.raises(ConfigError, match=message):
        fit(_at(tmp_path / "run", epochs=LONG, **fields), dataset)


def test_an_evaluation_that_patience_has_counted_is_not_taken_back(dataset: Dataset, tmp_path: pathlib.Path,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    config = _at(tmp_path / "run", epochs=9, evaluate_every=2, patience=20)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(EarlyStopping, "restore_best", killed)
        fit(config, dataset)
    with pytest.raises(ConfigError, match=r"since --patience has counted epoch 9, .*--evaluate_every=2"):
        fit(dataclasses.replace(config, epochs=12), dataset)
    assert fit(config, dataset).result["early_stopping"]["epochs"] == 9


def _at(folder: pathlib.Path, **fields: Any) -> Config:
    return dataclasses.replace(CONFIG, model_dir=str(folder), **fields)


def _assert_same(folder: pathlib.Path, other: pathlib.Path, read_events: Callable[..., Any]) -> None:
    results = [json.loads((path / "result.json").read_text()) for path in (folder, other)]
    by_clock = {"seconds", "steps_per_second", "examples_per_second", "resumed_from", "model_dir"}
    assert {**results[0], **dict.fromkeys(by_clock)} == {**results[1], **dict.fromkeys(by_clock)}
    assert _json(folder, "config.json", "model_dir") == _json(other, "config.json", "model_dir")
    assert _json(folder, "checkpoints/best/best.json") == _json(other, "checkpoints/best/best.json")
    assert _lines(folder) == _lines(other)
    for name in (f"ckpt-{results[0]['steps']}", f"best/ckpt-{results[0]['best']['step']}"):
        mine, theirs = _arrays(folder / "checkpoints" / name), _arrays(other / "checkpoints" / name)
        assert mine == theirs
    for split in ("train", "validation"):
        mine, theirs = read_events(folder / split), read_events(other / split)
        for tag in {*mine, *theirs}:
            if not tag.startswith("perf/"):
                told = [[(step, str(value)) for step, value in events[tag]] for events in (mine, theirs)]
                assert len(told[0]) == len(told[1]), tag
                if not tag.startswith(("about/found", "_hparams_")):  # These have times and the folder's name.
                    assert told[0] == told[1], tag


def _json(folder: pathlib.Path, name: str, without: str | None = None) -> dict[str, Any]:
    return {key: value for key, value in json.loads((folder / name).read_text()).items() if key != without}


def _lines(folder: pathlib.Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{tag: value for tag, value in line.items() if not tag.startswith("perf/")} for line in lines]


def _arrays(prefix: pathlib.Path) -> dict[str, bytes]:
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: np.asarray(reader.get_tensor(name)).tobytes() for name in reader.get_variable_to_shape_map()
            if "OBJECT_GRAPH" not in name}
