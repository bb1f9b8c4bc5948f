"""The best state: found again, or named, and never replaced by a worse one in silence."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config
from reglab.core.parameters import map_arrays
from reglab.core.step import State
from reglab.engine.training import Calls
from reglab.run.evaluation import Evaluation
from reglab.run.folder_journal import FolderJournal, open_journal
from reglab.run.run_directory import RunDirectory

LOSSES = {5: 0.5, 10: 0.75, 15: 0.625}  # The best is the first.
BEST = {"step": 5, "epoch": 1, "data_loss": 0.5, "accuracy": 0.75}


def made_state(step: int = 0) -> State:
    return map_arrays(tf.Variable, {"parameters": {"logits": {"kernel": np.full((2, 3), step, np.float32)}},
                                    "slots": {}, "step": np.int64(step)})


def opened(folder: pathlib.Path, keep: int) -> tuple[FolderJournal, State, list[str]]:
    config, state, warnings = Config(model_dir=str(folder), keep=keep), made_state(), list[str]()
    journal = open_journal(config, RunDirectory(config), state, warnings.append)
    assert isinstance(journal, FolderJournal)
    return journal, state, warnings


def go_on(journal: FolderJournal, state: State, losses: dict[int, float]) -> None:
    for step, data in losses.items():
        journal.write_reports(Calls(np.zeros(1), np.array([step - 1]), {"train_batch/data_loss": np.array([0.1])}))
        map_arrays(lambda variable, value: variable.assign(value), state, made_state(step))
        journal.write_evaluation(Evaluation.of(
            step, step // 5, {"data_loss": 0.25, "accuracy": 1.0}, {"data_loss": data, "accuracy": 0.75},
            {"penalty/l1": 0.0, "penalty/l2": 0.0, "penalty/total": 0.0}), {})
        journal.save()


def run(folder: pathlib.Path, keep: int) -> None:
    journal, state, warnings = opened(folder, keep)
    go_on(journal, state, LOSSES)
    journal.close()
    assert warnings == []


def kept_step(folder: pathlib.Path) -> int | None:
    steps = [int(path.stem.split("-")[1]) for path in (folder / "checkpoints" / "best").glob("ckpt-*.index")]
    assert len(steps) <= 1
    return steps[0] if steps else None


def edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[pathlib.Path], object]:
    return lambda best: [path.write_bytes(change(path.read_bytes())) for path in best.glob(name)]


def gone(name: str) -> Callable[[pathlib.Path], object]:
    return lambda best: [path.unlink() for path in best.glob(name)]


STATE_LOST = {"the folder": shutil.rmtree, "the index": gone("*.index"), "the data": gone("*.data*"),
              "half of the data": edit("*.data*", lambda x: x[:9]), "all of the checkpoint": gone("ckpt-*")}
NOTE_LOST = {"removed": gone("best.json"), "empty": edit("best.json", lambda _: b""),
             "another step": edit("best.json", lambda x: x.replace(b"5,", b"10,", 1)),
             "a step that was not evaluated": edit("best.json", lambda x: x.replace(b"5,", b"7,", 1)),
             "a loss that is the same in float32": edit("best.json", lambda x: x.replace(b"0.5", b"0.500000001")),
             "another loss": edit("best.json", lambda x: x.replace(b"0.5", b"0.1")),
             "a worse state": edit("best.json", lambda _: json.dumps(
                 {"step": 10, "epoch": 2, "data_loss": 0.75, "accuracy": 0.75}).encode())}


@pytest.mark.parametrize("damage", STATE_LOST)
def test_a_lost_state_comes_back_from_the_checkpoint_of_its_step(tmp_path: pathlib.Path, damage: str) -> None:
    run(tmp_path, keep=3)
    STATE_LOST[damage](tmp_path / "checkpoints" / "best")
    journal, _, warnings = opened(tmp_path, 3)
    journal.close()
    assert journal.best == BEST and kept_step(tmp_path) == 5
    assert warnings and all("best" in warning for warning in warnings)
    journal, _, warnings = opened(tmp_path, 3)
    journal.close()
    assert (journal.best, warnings) == (BEST, [])


@pytest.mark.parametrize("damage", STATE_LOST)
def test_a_state_that_is_lost_for_good_is_named_and_gives_way_to_a_better_one_alone(tmp_path: pathlib.Path,
                                                                                   damage: str) -> None:
    run(tmp_path, keep=1)
    STATE_LOST[damage](tmp_path / "checkpoints" / "best")
    journal, state, warnings = opened(tmp_path, 1)
    assert journal.best == BEST
    assert "best/ckpt-5 (data loss 0.5), is lost" in warnings[-1]
    go_on(journal, state, {20: 0.5625})
    assert journal.confirm_best() == {**BEST, "lost": True}
    assert "is lost" in warnings[-1] and len([line for line in warnings if "is lost" in line]) == 2
    go_on(journal, state, {25: 0.25})
    assert journal.confirm_best() == {"step": 25, "epoch": 5, "data_loss": 0.25, "accuracy": 0.75}
    journal.close()
    assert kept_step(tmp_path) == 25


@pytest.mark.parametrize("keep", [1, 3])
@pytest.mark.parametrize("damage", NOTE_LOST)
def test_a_damaged_note_is_found_again(tmp_path: pathlib.Path, damage: str, keep: int) -> None:
    run(tmp_path, keep)
    NOTE_LOST[damage](tmp_path / "checkpoints" / "best")
    journal, _, warnings = opened(tmp_path, keep)
    journal.close()
    assert journal.best == BEST and kept_step(tmp_path) == 5
    assert len(warnings) == 1 and warnings[0].startswith("best/best.json ")
    assert json.loads((tmp_path / "checkpoints" / "best" / "best.json").read_text()) == BEST


@pytest.mark.parametrize("lost", [["metrics.jsonl"], ["validation"], ["metrics.jsonl", "validation"]])
def test_the_best_is_known_without_the_logs(tmp_path: pathlib.Path, lost: list[str]) -> None:
    run(tmp_path, keep=1)
    for name in lost:
        shutil.rmtree(tmp_path / name) if (tmp_path / name).is_dir() else (tmp_path / name).unlink()
    (tmp_path / "checkpoints" / "best" / "best.json").unlink()
    journal, _, _ = opened(tmp_path, 1)
    journal.close()
    assert journal.best == BEST and kept_step(tmp_path) == 5


def test_damage_while_the_run_goes_on_is_found_at_its_end(tmp_path: pathlib.Path) -> None:
    journal, state, warnings = opened(tmp_path, 3)
    go_on(journal, state, LOSSES)
    assert journal.confirm_best() == BEST
    (tmp_path / "checkpoints" / "best" / "ckpt-5.index").write_bytes(b"")
    assert journal.confirm_best() == BEST
    assert len(warnings) == 1 and "best/ckpt-5 is damaged" in warnings[0]
    journal.close()
