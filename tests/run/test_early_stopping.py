"""`--patience`: where a run stops, and that it ends with its best state, however it was interrupted."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config, ConfigError
from reglab.data import Dataset
from reglab.run.loop import History, Interrupted, fit
from reglab.run.patience import Patience

pytestmark = pytest.mark.usefixtures("shared_compilation")

# 53 examples in batches of 8: 7 steps an epoch. They are memorized soon, so the validation loss rises after a few.
CONFIG = Config(hidden=(16,), batch_size=8, epochs=40, learning_rate=0.1, summary_every=5, jit=False, patience=2)


def test_stops_where_a_plain_rereading_of_the_rule_does() -> None:
    rng = np.random.default_rng(0)
    for patience, min_delta in ((1, 0.0), (3, 0.0), (2, 0.05), (4, 0.3)):
        losses = np.exp(np.cumsum(rng.normal(-0.05, 0.1, 60)))
        losses[rng.integers(60, size=4)] = np.nan
        counted, lowest = [], np.inf
        for at, loss in enumerate(losses):
            if loss < lowest - min_delta:
                lowest = loss
                counted.append(at)
        rows = np.array([at - max([i for i in counted if i <= at], default=-1) for at in range(60)])
        expected = int(np.argmax(rows >= patience)) if (rows >= patience).any() else None
        rule, found = Patience(patience, min_delta), None
        for at, loss in enumerate(losses):
            rule.note(loss)
            if rule.is_over:
                found = at
                break
        assert found == expected


def test_flags_that_say_nothing_together() -> None:
    with pytest.raises(ConfigError, match="--min_delta=0.1: .*give --patience too"):
        Config(min_delta=0.1)
    with pytest.raises(ConfigError, match="--patience=0: give a number of evaluations of at least 1"):
        Config(patience=0)
    assert not {"patience", "min_delta"} & set(Config().to_dict())  # Older folders lack them, and are resumed.
    assert Config.from_dict(Config(patience=2, min_delta=0.5).to_dict()) == Config(patience=2, min_delta=0.5)


@pytest.fixture(scope="module")
def whole(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> History:
    return fit(_at(tmp_path_factory.mktemp("run") / "whole"), dataset)


@pytest.fixture(scope="module")
def plain(dataset: Dataset, whole: History) -> list[float]:
    """The validation data losses of the same run without early stopping, over as many epochs."""
    epochs = whole.result["early_stopping"]["epochs"] + 2
    return [row.validation["data_loss"] for row in
            fit(dataclasses.replace(CONFIG, patience=None, epochs=epochs), dataset).evaluations]


def test_the_run_is_the_plain_one_until_it_stops_and_ends_with_its_best(whole: History, plain: list[float]) -> None:
    ended, best = whole.result["early_stopping"], whole.result["best"]
    at = int(np.argmin(plain[:ended["epochs"]]))
    assert ended == {"patience": 2, "min_delta": 0.0, "stopped": True, "epochs": at + 3, "steps": 7 * (at + 3),
                     "best_state": True}
    assert at > 0 and ended["epochs"] < 40
    assert [row.validation["data_loss"] for row in whole.evaluations] == [*plain[:at + 3], plain[at]]
    assert (best["epoch"], best["data_loss"]) == (at + 1, plain[at])
    assert (whole.result["epochs"], whole.result["steps"]) == (at + 1, 7 * (at + 1))
    assert whole.result["validation"]["data_loss"] == plain[at]


def test_everything_that_reads_the_run_finds_its_best_state(whole: History, dataset: Dataset) -> None:
    folder = pathlib.Path(str(whole.config.model_dir))
    step = whole.result["steps"]
    assert max(_steps(folder)) == step == max(_steps(folder / "best", checkpoints="."))
    kernel = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{step}")).get_tensor(
        "parameters/logits/kernel/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(kernel, whole.parameters["logits"]["kernel"])
    again = fit(whole.config, dataset)  # Complete: nothing is trained, and nothing lost.
    assert again.result == json.loads((folder / "result.json").read_text())
    np.testing.assert_array_equal(again.parameters["logits"]["kernel"], kernel)
    assert max(_logged(folder)) == whole.result["early_stopping"]["steps"]


def test_without_a_folder_the_best_state_comes_from_memory(whole: History, dataset: Dataset) -> None:
    alone = fit(dataclasses.replace(whole.config, model_dir=None), dataset)
    assert _told(alone.result) == _told(whole.result)
    tf.nest.map_structure(np.testing.assert_array_equal, alone.parameters, whole.parameters)


@pytest.mark.parametrize("fields", [{}, {"on_nonfinite": "restore", "checkpoint_every": 4}])
def test_interrupted_anywhere_it_is_the_same_run(fields: dict[str, Any], whole: History, dataset: Dataset,
                                                 tmp_path: pathlib.Path) -> None:
    ended = whole.result["early_stopping"]["steps"]
    config = _at(tmp_path / "run", **fields)
    for until in (3, ended - 8):
        with pytest.raises(Interrupted):
            fit(config, dataset, until=until)
    _assert_same(fit(config, dataset), whole)


def test_killed_before_its_result_it_stops_again(whole: History, dataset: Dataset, tmp_path: pathlib.Path) -> None:
    """Its newest checkpoint is already the best state: what came after is trained again."""
    shutil.copytree(str(whole.config.model_dir), tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text("{")
    _assert_same(fit(_at(tmp_path / "run"), dataset), whole)


def test_all_epochs_trained_it_ends_with_its_best_too(whole: History, plain: list[float], dataset: Dataset) -> None:
    epochs = whole.result["best"]["epoch"] + 1
    done = fit(dataclasses.replace(CONFIG, epochs=epochs), dataset)
    assert done.result["early_stopping"]["stopped"] is False and done.result["early_stopping"]["epochs"] == epochs
    assert done.result["epochs"] == epochs - 1 and done.result["validation"]["data_loss"] == min(plain[:epochs])


def test_evaluations_are_counted_and_not_epochs(whole: History, plain: list[float], dataset: Dataset) -> None:
    done = fit(dataclasses.replace(CONFIG, evaluate_every=2, patience=1), dataset)
    losses = plain[1::2]
    worse = next(at for at in range(1, len(losses)) if losses[at] >= min(losses[:at]))
    assert done.result["early_stopping"]["epochs"] == 2 * (worse + 1)


def _at(folder: pathlib.Path, **fields: Any) -> Config:
    return dataclasses.replace(CONFIG, model_dir=str(folder), **fields)


def _steps(folder: pathlib.Path, checkpoints: str = "checkpoints") -> list[int]:
    folder = folder.parent / "checkpoints" / "best" if folder.name == "best" else folder / checkpoints
    return [int(path.stem.split("-")[1]) for path in folder.glob("ckpt-*.index")]


def _logged(folder: pathlib.Path) -> Iterable[int]:
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _lines(folder: pathlib.Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{tag: value for tag, value in line.items() if not tag.startswith(("perf/", "updates/"))} for line in lines]


def _told(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in ("epochs", "steps", "train", "validation", "gap", "weights", "best",
                                            "early_stopping")}


def _assert_same(mine: History, theirs: History) -> None:
    folder, other = (pathlib.Path(str(history.config.model_dir)) for history in (mine, theirs))
    assert _told(mine.result) == _told(theirs.result)
    assert _lines(folder) == _lines(other)
    arrays = [tf.train.load_checkpoint(str(path / "checkpoints" / f"ckpt-{mine.result['steps']}"))
              for path in (folder, other)]
    for name in arrays[1].get_variable_to_shape_map():
        if "OBJECT_GRAPH" not in name:
            np.testing.assert_array_equal(arrays[0].get_tensor(name), arrays[1].get_tensor(name), err_msg=name)
