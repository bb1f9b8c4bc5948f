"""Checkpoints: bit for bit, never one too few, and what happens when the newest ones are damaged."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import ConfigError
from reglab.core.parameters import map_arrays
from reglab.core.step import State
from reglab.run.checkpoints.checkpoint import Checkpoints
from reglab.run.checkpoints.reading import read_best
from reglab.storage.files import StorageError
from reglab.storage.reading import Missing, Unreadable

DATA = "data-00000-of-00001"
ODD = np.array([[-0.0, np.pi, 1e-42], [np.inf, -1e38, 2.0**-149]], np.float32)  # signed zero, denormals, infinity


def made_state(step: int, value: float | None = None) -> State:
    """A state that looks like a real one, every entry telling its `step`."""
    kernel = ODD + np.float32(step if value is None else value)
    return map_arrays(tf.Variable, {
        "parameters": {"logits": {"kernel": kernel, "bias": np.arange(3, dtype=np.float64) + step}},
        "slots": {"m": {"logits": {"kernel": -kernel, "bias": np.full(3, step, np.float64)}}},
        "step": np.int64(step)})


def contents(state: State) -> list[bytes]:
    return [variable.numpy().tobytes() for variable in tf.nest.flatten(state)]


def save(folder: pathlib.Path, *steps: int, keep: int = 9) -> None:
    for step in steps:
        Checkpoints(folder, made_state(step), keep).save()


class Warnings(list[str]):
    """Collects warnings, and checks that each is a line."""

    def __call__(self, text: str) -> None:
        assert "\n" not in text
        self.append(text)


def restore(folder: pathlib.Path) -> tuple[int | None, State, Warnings]:
    state, warnings = made_state(0, 77.0), Warnings()
    return Checkpoints(folder, state, 3).restore_latest(warnings), state, warnings


def flip(path: pathlib.Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def truncate(path: pathlib.Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


# Saving and restoring.

def test_every_bit_comes_back(tmp_path: pathlib.Path) -> None:
    saved = made_state(7, 0.0)
    assert Checkpoints(tmp_path / "new" / "folder", saved, 3).save() == 7
    step, state, warnings = restore(tmp_path / "new" / "folder")
    assert (step, warnings) == (7, [])
    assert contents(state) == contents(saved)


def test_the_newest_of_several_is_restored_by_number_not_by_name(tmp_path: pathlib.Path) -> None:
    save(tmp_path, 90, 100, 1000)
    step, state, warnings = restore(tmp_path)
    assert (step, warnings) == (1000, [])
    assert contents(state) == contents(made_state(1000))


def test_nothing_to_restore_changes_nothing(tmp_path: pathlib.Path) -> None:
    step, state, warnings = restore(tmp_path / "missing")
    assert (step, warnings) == (None, [])
    assert contents(state) == contents(made_state(0, 77.0))
    assert not (tmp_path / "missing").exists()


def test_only_the_last_ones_are_kept(tmp_path: pathlib.Path) -> None:
    save(tmp_path, 10, 20, 30, 40, 100, keep=3)
    assert Checkpoints(tmp_path, made_state(0), 3).steps() == [30, 40, 100]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"ckpt-{step}.{part}" for step in (30, 40, 100) for part in (DATA, "index"))


def test_a_step_can_be_saved_again(tmp_path: pathlib.Path) -> None:
    state = made_state(10)
    checkpoints = Checkpoints(tmp_path, state, 3)
    checkpoints.save()
    state["parameters"]["logits"]["bias"].assign([7.0, 8.0, 9.0])
    checkpoints.save()
    assert restore(tmp_path)[1]["parameters"]["logits"]["bias"].numpy().tolist() == [7, 8, 9]


# Damage.

DAMAGE: dict[str, Callable[[pathlib.Path], object]] = {
    "data cut short": lambda path: truncate(path.with_suffix(f".{DATA}"), 20),
    "data empty": lambda path: truncate(path.with_suffix(f".{DATA}"), 0),
    "first byte of the data": lambda path: flip(path.with_suffix(f".{DATA}"), 0),
    "last byte of the data": lambda path: flip(path.with_suffix(f".{DATA}"), -1),
    "data missing": lambda path: path.with_suffix(f".{DATA}").unlink(),
    "index garbled": lambda path: path.with_suffix(".index").write_bytes(b"garbage" * 50),
    "index cut short": lambda path: truncate(path.with_suffix(".index"), 100),
    "index empty": lambda path: truncate(path.with_suffix(".index"), 0),
    "a byte of the index": lambda path: flip(path.with_suffix(".index"), 30),
    "files of another state": lambda path: tf.train.Checkpoint(step=tf.Variable(0)).write(str(path)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path: pathlib.Path, damage: str) -> None:
    save(tmp_path, 10, 20)
    DAMAGE[damage](tmp_path / "ckpt-20")
    step, state, warnings = restore(tmp_path)
    assert step == 10
    assert contents(state) == contents(made_state(10))
    assert len(warnings) == 1 and "ckpt-20" in warnings[0] and "damaged" in warnings[0]


def test_damaged_ones_are_passed_over_one_by_one(tmp_path: pathlib.Path) -> None:
    save(tmp_path, 10, 20, 30, 40)
    DAMAGE["first byte of the data"](tmp_path / "ckpt-40")
    DAMAGE["index garbled"](tmp_path / "ckpt-30")
    step, state, warnings = restore(tmp_path)
    assert step == 20
    assert contents(state) == contents(made_state(20))
    assert [name for warning in warnings for name in ("ckpt-40", "ckpt-30", "ckpt-20") if name in warning] == [
        "ckpt-40", "ckpt-30"]


def test_a_lost_index_leaves_the_one_before(tmp_path: pathlib.Path) -> None:
    save(tmp_path, 10, 20)
    (tmp_path / "ckpt-20.index").unlink()
    assert restore(tmp_path)[0] == 10


@pytest.mark.parametrize("text", [None, "", "garbage", 'model_checkpoint_path: "ckpt-5"\n'])
def test_tensorflows_own_list_of_checkpoints_does_not_matter(tmp_path: pathlib.Path, text: str | None) -> None:
    save(tmp_path, 10, 20)
    (tmp_path / "checkpoint").unlink(missing_ok=True)
    if text is not None:
        (tmp_path / "checkpoint").write_text(text)
    assert restore(tmp_path)[0] == 20


def test_no_silent_start_from_zero_when_all_are_damaged(tmp_path: pathlib.Path, tree: Callable[..., Any]) -> None:
    save(tmp_path, 10, 20)
    for step in (10, 20):
        DAMAGE["data cut short"](tmp_path / f"ckpt-{step}")
    before, warnings = tree(tmp_path), Warnings()
    with pytest.raises(ConfigError, match="none of the 2 checkpoints in .* can be read; put back") as caught:
        Checkpoints(tmp_path, made_state(0), 3).restore_latest(warnings)
    assert "\n" not in str(caught.value)
    assert len(warnings) == 2
    assert tree(tmp_path) == before


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_damaged_newer_ones_never_crowd_out_what_is_saved_next(tmp_path: pathlib.Path, keep: int) -> None:
    save(tmp_path, 10, 20, 30)
    for step in (20, 30):
        DAMAGE["data cut short"](tmp_path / f"ckpt-{step}")
    state = made_state(0)
    checkpoints = Checkpoints(tmp_path, state, keep)
    assert checkpoints.restore_latest(Warnings()) == 10
    state["step"].assign(15)
    checkpoints.save()
    assert checkpoints.steps() == [10, 15][-keep:]
    step, _, warnings = restore(tmp_path)
    assert (step, warnings) == (15, [])


def labelled(folder: pathlib.Path, step: int, keep: int = 3, run: str = "0123456789abcdef") -> Checkpoints:
    return Checkpoints(folder, made_state(step), keep, run=run)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_damaged_older_ones_never_crowd_out_a_whole_one(tmp_path: pathlib.Path, keep: int) -> None:
    for step in (10, 20, 30):
        labelled(tmp_path, step).save()
    DAMAGE["data cut short"](tmp_path / "ckpt-30")
    state = made_state(0)
    checkpoints = Checkpoints(tmp_path, state, keep, run="0123456789abcdef")
    assert checkpoints.restore_latest(Warnings()) == 20
    state["step"].assign(40)
    checkpoints.save()
    assert checkpoints.steps() == [10, 20, 40][-keep:]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_by_the_label_alone(tmp_path: pathlib.Path, damage: str) -> None:
    for step in (10, 20, 30):
        labelled(tmp_path, step).save()
    for step in (10, 30):  # An older one is not needed, but named.
        DAMAGE[damage](tmp_path / f"ckpt-{step}")
    state, warnings = made_state(0, 77.0), Warnings()
    assert Checkpoints(tmp_path, state, 3, run="0123456789abcdef").restore_latest(warnings) == 20
    assert contents(state) == contents(made_state(20))
    assert len(warnings) == 2 and "ckpt-30" in warnings[0] and "ckpt-10" in warnings[1]


@pytest.mark.parametrize("change", ["another step", "another run", "no label"])
def test_a_copy_is_passed_over_and_left_alone_if_it_says_whose_it_is(tmp_path: pathlib.Path, change: str) -> None:
    labelled(tmp_path, 10).save()
    if change == "another run":
        labelled(tmp_path, 30, run="f" * 16).save()
        labelled(tmp_path, 10).save()
        labelled(tmp_path, 30, run="f" * 16).save()
    for path in list(tmp_path.glob("ckpt-10.*")) if change != "another run" else []:
        if change == "another step" or path.suffix != ".json":
            (tmp_path / path.name.replace("10", "30")).write_bytes(path.read_bytes())
    state, warnings = made_state(0), Warnings()
    checkpoints = Checkpoints(tmp_path, state, 1, run="0123456789abcdef")
    assert checkpoints.restore_latest(warnings) == 10
    assert len(warnings) == 1 and "ckpt-30 is passed over" in warnings[0]
    state["step"].assign(20)
    checkpoints.save()
    assert checkpoints.steps() == ([20] if change == "no label" else [20, 30])


def test_one_without_a_label_is_taken_where_nothing_else_is_left(tmp_path: pathlib.Path) -> None:
    labelled(tmp_path, 10).save()
    (tmp_path / "ckpt-10.json").unlink()
    for expected in (2, 0):  # Then it is labelled.
        warnings = Warnings()
        assert labelled(tmp_path, 0).restore_latest(warnings) == 10
        assert len(warnings) == expected


def test_a_checkpoint_that_was_complete_and_is_gone_is_named(tmp_path: pathlib.Path) -> None:
    labelled(tmp_path, 10).save()
    warnings = Warnings()
    assert labelled(tmp_path, 0).restore_latest(warnings, saved=20) == 10
    assert warnings == ["checkpoint ckpt-20 is passed over: ckpt-20.index is missing"]


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_save_killed_while_its_files_are_moved_is_no_checkpoint(tmp_path: pathlib.Path, moved: int,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    labelled(tmp_path, 10).save()
    replace, calls = os.replace, []

    def killed(source: pathlib.Path, target: pathlib.Path) -> None:
        calls.append(target)
        if len(calls) > moved + 1:  # The first is of the label, within the staging folder.
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("reglab.run.checkpoints.files.os.replace", killed)
        labelled(tmp_path, 20).save()
    warnings = Warnings()
    assert labelled(tmp_path, 0).restore_latest(warnings, saved=10) == 10
    assert warnings == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"ckpt-10.{DATA}", "ckpt-10.index", "ckpt-10.json"]


# Kills.

def test_leftovers_of_a_killed_save_are_swept(tmp_path: pathlib.Path) -> None:
    save(tmp_path, 10, 20)
    whole = {path.name for path in tmp_path.iterdir()}
    (tmp_path / "ckpt-30_temp").mkdir()
    (tmp_path / "ckpt-30_temp" / f"part-00000-of-00001.{DATA}").write_bytes(b"half")
    (tmp_path / f"ckpt-30.{DATA}").write_bytes(b"its index was never written")
    (tmp_path / f"ckpt-30.{DATA}.tempstate123").write_bytes(b"half")
    (tmp_path / "ckpt-40.index.tempstate123").write_bytes(b"half")
    step, _, warnings = restore(tmp_path)
    assert (step, warnings) == (20, [])
    assert {path.name for path in tmp_path.iterdir()} == whole


def test_a_removal_killed_in_the_middle_leaves_no_half_checkpoint(tmp_path: pathlib.Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 10, 20)
    unlink, unlinked = pathlib.Path.unlink, []

    def killed(path: pathlib.Path) -> None:
        if unlinked:
            raise KeyboardInterrupt
        unlinked.append(path.name)
        unlink(path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pathlib.Path, "unlink", killed)
        save(tmp_path, 30, keep=2)
    assert unlinked == ["ckpt-10.index"]
    assert Checkpoints(tmp_path, made_state(0), 2).steps() == [20, 30]
    assert restore(tmp_path)[0] == 30
    assert not list(tmp_path.glob("ckpt-10*"))


# The best.

def facts(step: int) -> dict[str, Any]:
    return {"step": step, "epoch": step // 10, "data_loss": 1 / step, "accuracy": 0.5}


def keep_best(folder: pathlib.Path, *steps: int) -> Checkpoints:
    for step in steps:
        checkpoints = Checkpoints(folder, made_state(step), 1)
        checkpoints.save_best(facts(step))
    return checkpoints


def test_the_best_is_kept_apart_and_alone(tmp_path: pathlib.Path) -> None:
    keep_best(tmp_path, 1, 10, 100)
    save(tmp_path, 110, 120, 130, keep=1)
    assert sorted(path.name for path in (tmp_path / "best").iterdir()) == [
        "best.json", f"ckpt-100.{DATA}", "ckpt-100.index"]
    assert json.loads((tmp_path / "best" / "best.json").read_text()) == facts(100)
    assert restore(tmp_path)[0] == 130
    step, state, _ = restore(tmp_path / "best")
    assert step == 100
    assert contents(state) == contents(made_state(100))


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "{}", '{"step": null}'])
def test_a_garbled_note_of_the_best_is_not_believed(tmp_path: pathlib.Path, text: str) -> None:
    keep_best(tmp_path, 10)
    assert read_best(tmp_path / "best") == facts(10)
    (tmp_path / "best" / "best.json").write_text(text)
    with pytest.raises(Unreadable):
        read_best(tmp_path / "best")
    with pytest.raises(Missing):
        read_best(tmp_path / "nowhere")


def test_leftovers_of_a_killed_save_of_the_best_are_swept_by_the_next(tmp_path: pathlib.Path) -> None:
    keep_best(tmp_path, 10)
    (tmp_path / "best" / "ckpt-20_temp").mkdir()
    (tmp_path / "best" / "ckpt-20_temp" / f"part-00000-of-00001.{DATA}").write_bytes(b"half")
    (tmp_path / "best" / f"ckpt-20.{DATA}").write_bytes(b"half")
    keep_best(tmp_path, 30)
    assert sorted(path.name for path in (tmp_path / "best").iterdir()) == [
        "best.json", f"ckpt-30.{DATA}", "ckpt-30.index"]


def test_what_is_saved_in_the_background_is_the_state_at_the_call(tmp_path: pathlib.Path) -> None:
    state = made_state(5)
    checkpoints = Checkpoints(tmp_path, state, 3)
    before = contents(state)
    checkpoints.save_best(facts(5), background=True)
    checkpoints.save(background=True)
    map_arrays(lambda variable, value: variable.assign(value), state, made_state(6))
    checkpoints.wait()
    for folder in (tmp_path, tmp_path / "best"):
        step, restored, _ = restore(folder)
        assert (step, contents(restored)) == (5, before)


def test_a_failed_write_in_the_background_is_told_by_wait(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    checkpoints = Checkpoints(tmp_path / "file" / "folder", made_state(5), 3)
    checkpoints.save(background=True)
    with pytest.raises(StorageError, match="folder cannot be written \\(Not a directory\\): put the folder back"):
        checkpoints.wait()
