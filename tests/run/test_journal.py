"""What is written when: logs before the checkpoint that they belong to, the best by data loss alone."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config, ConfigError
from reglab.core.parameters import map_arrays
from reglab.core.step import State
from reglab.engine.training import Calls
from reglab.run import result_file
from reglab.run.checkpoints.checkpoint import Checkpoints
from reglab.run.evaluation import Evaluation
from reglab.run.folder_journal import FolderJournal, open_journal
from reglab.run.journal import Journal
from reglab.run.run_directory import RunDirectory

WEIGHTS = {"penalty/l1": 0.25, "penalty/l2": 0.5, "penalty/total": 0.75, "sparsity/total": 0.1}


def evaluation(step: int, data: float = 1.0, accuracy: float = 0.75, penalty: float = 0.75) -> Evaluation:
    return Evaluation.of(step, step // 5, {"data_loss": 0.5, "accuracy": 0.875},
                         {"data_loss": data, "accuracy": accuracy},
                         {**WEIGHTS, "penalty/total": penalty})


def measured(*steps: int) -> Calls:
    values = np.array(steps, np.float32)
    return Calls(values, np.array(steps), {"train_batch/data_loss": values + 0.5,
                                                     "train_batch/accuracy": values})


def made_state(step: int = 0) -> State:
    return map_arrays(tf.Variable, {"parameters": {"logits": {"kernel": np.full((2, 3), step, np.float32)}},
                                    "slots": {}, "step": np.int64(step)})


def opened(folder: pathlib.Path, state: State | None = None, **fields: Any) -> FolderJournal:
    config = Config(model_dir=str(folder), **fields)
    journal = open_journal(config, RunDirectory(config), state or made_state(), pytest.fail)
    assert isinstance(journal, FolderJournal)
    return journal


def lines(folder: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


# Evaluations.

def test_an_evaluation_adds_the_penalty_to_both_splits_and_not_to_the_gap() -> None:
    found = evaluation(10)
    assert found.train == {"data_loss": 0.5, "accuracy": 0.875, "l1": 0.25, "l2": 0.5, "penalty": 0.75, "total": 1.25}
    assert found.validation == {"data_loss": 1.0, "accuracy": 0.75, "l1": 0.25, "l2": 0.5, "penalty": 0.75,
                                "total": 1.75}
    assert found.gap == {"data_loss": 0.5, "accuracy": 0.125}


# Without a folder.

def test_without_a_folder_nothing_is_written_and_the_best_is_known(tmp_path: pathlib.Path, tree: Callable[..., Any],
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    journal = open_journal(Config(), None, made_state(), pytest.fail)
    journal.write_reports(measured(0))
    journal.write_evaluation(evaluation(5), {})
    journal.write_histograms(5, {})
    journal.write_result({})
    assert journal.save() is False
    journal.close()
    assert journal.best == {"step": 5, "epoch": 1, "data_loss": 1.0, "accuracy": 0.75}
    assert (journal.restored_step, journal.finished_result) == (0, None)
    assert tree(tmp_path) == {}


def test_the_best_is_the_lowest_validation_data_loss_whatever_the_penalty() -> None:
    journal = Journal()
    for step, data, penalty in ((5, 1.0, 0.0), (10, 0.5, 9.0), (15, 0.5, 0.0), (20, 0.75, 0.0)):
        journal.write_evaluation(evaluation(step, data, penalty=penalty), {})
    assert journal.best is not None
    assert (journal.best["step"], journal.best["data_loss"]) == (10, 0.5)


# With one.

def test_measured_steps_are_lines_and_points_of_the_training_run(tmp_path: pathlib.Path,
                                                                 read_events: Callable[..., Any]) -> None:
    journal = opened(tmp_path)
    journal.write_reports(measured(0, 5))
    journal.write_reports(Calls(np.zeros(3), np.zeros(0, np.int64), {}))
    journal.close()
    assert lines(tmp_path) == [{"step": step, "split": "train", "train_batch/data_loss": step + 0.5,
                                "train_batch/accuracy": float(step)} for step in (0, 5)]
    assert read_events(tmp_path / "train")["train_batch/data_loss"] == [(0, 0.5), (5, 5.5)]


def test_an_evaluation_is_told_of_both_splits(tmp_path: pathlib.Path, read_events: Callable[..., Any]) -> None:
    journal = opened(tmp_path)
    journal.write_evaluation(evaluation(5), {"perf/steps_per_second": 100.0})
    journal.close()
    train, validation = lines(tmp_path)
    assert train == {"step": 5, "split": "train", "epoch/data_loss": 0.5, "epoch/penalty": 0.75, "epoch/total": 1.25,
                     "generalization/accuracy": 0.875, "perf/steps_per_second": 100.0}
    assert validation == {"step": 5, "split": "validation", "epoch/data_loss": 1.0, "epoch/penalty": 0.75,
                          "epoch/total": 1.75, "generalization/accuracy": 0.75, **WEIGHTS,
                          "generalization/data_loss_gap": 0.5, "generalization/accuracy_gap": 0.125}
    for split, line in (("train", train), ("validation", validation)):
        points = read_events(tmp_path / split)
        for tag in set(line) - {"step", "split"}:
            assert points[tag] == [(5, np.float32(line[tag]))]


def test_the_text_page_tells_what_was_run_what_tags_mean_and_what_was_found_each_once(
        tmp_path: pathlib.Path, read_events: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_file, "wrong_field", lambda result: None)  # Its own test has the rest.
    run_to_10(tmp_path)
    result = {"completed": True, "steps": 10, "epochs": Config().epochs, "seconds": 1.0, "model_dir": str(tmp_path),
              "validation": {"data_loss": 0.75, "accuracy": 0.5}}
    for _ in range(3):
        journal = opened(tmp_path)
        journal.write_header({"Data": "8x8, 10 classes"})
        if journal.finished_result is None:
            journal.write_result(result)
        journal.close()
    found = {tag: points for tag, points in read_events(tmp_path / "validation").items() if tag.startswith("about/")}
    assert {tag: [step for step, _ in points] for tag, points in found.items()} == {
        "about/run": [0], "about/tags": [0], "about/found": [10]}
    texts = {tag: points[0][1].item().decode() for tag, points in found.items()}
    assert "| Data | 8x8, 10 classes |" in texts["about/run"]
    assert "| Validation | data loss 0.7500, accuracy 50.00 % |" in texts["about/found"]
    assert all(f"`{tag}`" in texts["about/tags"] for tag in ("epoch/data_loss", "train_batch/accuracy", "penalty/l1"))
    assert str(tmp_path) not in texts["about/found"]


def test_histograms_are_of_every_kernel(tmp_path: pathlib.Path, read_events: Callable[..., Any]) -> None:
    journal = opened(tmp_path)
    journal.write_histograms(5, {"dense_0": np.ones((2, 3), np.float32)})
    journal.close()
    found = {tag: points for tag, points in read_events(tmp_path / "train").items() if tag.startswith("weights")}
    ((step, buckets),) = found.pop("weights/dense_0/kernel")
    assert (step, buckets[:, 2].sum(), found) == (5, 6, {})


def test_all_that_was_written_is_on_disk_before_the_checkpoint_is(tmp_path: pathlib.Path, read_events: Any,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    journal, seen = opened(tmp_path), []
    monkeypatch.setattr(Checkpoints, "save", lambda self, background: seen.append(
        ([line["step"] for line in lines(tmp_path)], [step for step, _ in
                                                         read_events(tmp_path / "train")["train_batch/accuracy"]],
         [step for step, _ in read_events(tmp_path / "validation")["generalization/data_loss_gap"]])))
    journal.write_reports(measured(0, 1, 2, 3, 4))
    journal.write_evaluation(evaluation(5), {})
    assert journal.save() is True
    journal.close()
    assert seen == [([0, 1, 2, 3, 4, 5, 5], [0, 1, 2, 3, 4], [5])]


def test_the_best_state_is_kept_when_it_is_one(tmp_path: pathlib.Path) -> None:
    state = made_state()
    journal = opened(tmp_path, state)
    for step, data in ((5, 1.0), (10, 0.5), (15, 0.75)):
        state["step"].assign(step)
        journal.write_evaluation(evaluation(step, data), {})
    journal.close()
    best = tmp_path / "checkpoints" / "best"
    assert json.loads((best / "best.json").read_text()) == journal.best == {
        "step": 10, "epoch": 2, "data_loss": 0.5, "accuracy": 0.75}
    assert [path.name for path in best.glob("ckpt-*.index")] == ["ckpt-10.index"]


def run_to_10(folder: pathlib.Path) -> None:
    """A run killed past its checkpoint after 10 updates: steps 10 and 12 and the best of 15 are on disk."""
    state = made_state()
    journal = opened(folder, state)
    for step, data in ((5, 0.5), (10, 0.75)):
        journal.write_reports(measured(*range(step - 5, step)))
        map_arrays(lambda variable, value: variable.assign(value), state, made_state(step))
        journal.write_evaluation(evaluation(step, data), {})
        journal.save()
    journal.write_reports(measured(10, 12))
    journal.close()


def test_opening_a_killed_run_restores_the_state_and_drops_what_lies_beyond(tmp_path: pathlib.Path,
                                                                            read_events: Callable[..., Any]) -> None:
    run_to_10(tmp_path)
    state = made_state(77)
    journal = opened(tmp_path, state)
    assert journal.restored_step == int(state["step"]) == 10
    assert (state["parameters"]["logits"]["kernel"].numpy() == 10).all()
    assert journal.best == {"step": 5, "epoch": 1, "data_loss": 0.5, "accuracy": 0.75}
    journal.write_reports(measured(10, 12))
    journal.close()
    assert [line["step"] for line in lines(tmp_path) if "train_batch/accuracy" in line] == [
        *range(11), 12]
    points = read_events(tmp_path / "train")
    assert [step for step, _ in points["train_batch/accuracy"]] == [*range(11), 12]
    points = read_events(tmp_path / "validation")
    assert len(points["custom_scalars__config__"]) == len(points["_hparams_/session_start_info"]) == 1


def test_a_best_that_lies_beyond_the_restored_step_gives_way_to_the_best_before(tmp_path: pathlib.Path) -> None:
    run_to_10(tmp_path)
    state = made_state(15)
    Checkpoints(tmp_path / "checkpoints", state, 3).save_best(
        {"step": 15, "epoch": 3, "data_loss": 0.1, "accuracy": 1.0})
    journal = opened(tmp_path)
    journal.close()
    assert journal.best == {"step": 5, "epoch": 1, "data_loss": 0.5, "accuracy": 0.75}
    assert [path.name for path in (tmp_path / "checkpoints" / "best").glob("ckpt-*.index")] == ["ckpt-5.index"]


@pytest.mark.parametrize(("steps", "complete"), [(10, True), (15, False)])
def test_a_result_counts_only_with_its_checkpoint(tmp_path: pathlib.Path, steps: int, complete: bool,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_file, "wrong_field", lambda result: None)  # Its own test has the rest.
    run_to_10(tmp_path)
    result = {"completed": True, "steps": steps, "epochs": Config().epochs}
    (tmp_path / "result.json").write_text(json.dumps(result))
    journal = opened(tmp_path)
    journal.close()
    assert journal.finished_result == (result if complete else None)


def test_a_killed_run_without_a_checkpoint_starts_anew_with_one_description(tmp_path: pathlib.Path,
                                                                            read_events: Callable[..., Any]) -> None:
    for _ in range(2):
        journal = opened(tmp_path)
        journal.write_reports(measured(0, 1))
        journal.close()
        assert journal.restored_step == 0
    assert [line["step"] for line in lines(tmp_path)] == [0, 1]
    assert [step for step, _ in read_events(tmp_path / "train")["train_batch/accuracy"]] == [0, 1]
    assert len(read_events(tmp_path / "validation")["custom_scalars__config__"]) == 1


def test_damaged_checkpoints_refuse_the_run_and_leave_its_logs(tmp_path: pathlib.Path,
                                                               tree: Callable[..., Any]) -> None:
    run_to_10(tmp_path)
    for path in (tmp_path / "checkpoints").glob("ckpt-*.index"):
        path.write_bytes(b"garbage")
    before, config = tree(tmp_path), Config(model_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="none of the 2 checkpoints"):
        open_journal(config, RunDirectory(config), made_state(), lambda text: None)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("fields", [{}, {"train_size": 100, "clip_norm": 1.0, "hidden": (), "data_seed": 3}])
def test_every_configuration_has_a_page_of_hyperparameters(tmp_path: pathlib.Path, read_events: Callable[..., Any],
                                                           fields: dict[str, Any]) -> None:
    opened(tmp_path, **fields).close()
    assert len(read_events(tmp_path / "validation")["_hparams_/session_start_info"]) == 1
