"""Whose folder it is: what is refused, and that a refusal writes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from reglab.config import Config, ConfigError
from reglab.run import folder_names
from reglab.run.folder_names import own_folder, with_default_name
from reglab.run.run_directory import RunDirectory
from reglab.run.run_file import read_run_file

Tree = Callable[[pathlib.Path], dict[str, Any]]


def config(folder: pathlib.Path | str, **fields: Any) -> Config:
    return Config(model_dir=str(folder), **fields)


def refusal(asked: Config) -> str:
    """The message of a refusal, which is one line that names the flag."""
    with pytest.raises(ConfigError) as caught:
        RunDirectory(asked)
    assert "\n" not in str(caught.value)
    assert "--model_dir=" in str(caught.value)
    return str(caught.value)


def test_opening_writes_nothing_and_creating_writes_the_configuration(tmp_path: pathlib.Path, tree: Tree) -> None:
    asked = config(tmp_path / "a" / "b", l1=0.5)
    directory = RunDirectory(asked)
    assert not directory.exists
    assert tree(tmp_path) == {}
    directory.create()
    assert set(tree(tmp_path)) == {"a", "a/b", "a/b/config.json", "a/b/run.json"}
    assert Config.from_file(tmp_path / "a" / "b" / "config.json") == asked


def test_the_same_configuration_goes_on(tmp_path: pathlib.Path) -> None:
    RunDirectory(config(tmp_path)).create()
    assert RunDirectory(config(tmp_path)).exists
    assert RunDirectory(config(tmp_path, resume="must")).exists


def test_how_a_run_is_kept_may_change(tmp_path: pathlib.Path) -> None:
    RunDirectory(config(tmp_path)).create()
    later = config(tmp_path, keep=7, checkpoint_every=5, resume="must", data_dir="elsewhere")
    directory = RunDirectory(later)
    assert directory.exists
    directory.create()
    assert Config.from_file(tmp_path / "config.json") == later


def test_another_configuration_is_refused_by_the_names_of_its_fields(tmp_path: pathlib.Path, tree: Tree) -> None:
    RunDirectory(config(tmp_path, l1=0.5, hidden=(4,))).create()
    before = tree(tmp_path)
    message = refusal(config(tmp_path, l1=0.25, hidden=(4, 2), seed=3))
    assert "hidden: [4, 2], not [4]" in message and "l1: 0.25, not 0.5" in message and "seed: 3, not 0" in message
    assert "l2" not in message
    assert tree(tmp_path) == before


def test_never_and_must(tmp_path: pathlib.Path, tree: Tree) -> None:
    assert "holds no run" in refusal(config(tmp_path, resume="must"))
    assert not RunDirectory(config(tmp_path, resume="never")).exists
    RunDirectory(config(tmp_path)).create()
    before = tree(tmp_path)
    assert "--resume=never" in refusal(config(tmp_path, resume="never"))
    assert tree(tmp_path) == before


def test_a_file_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file" in refusal(config(tmp_path / "file"))
    assert "writable folder" in refusal(config(tmp_path / "file" / "below"))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["result.json", "metrics.jsonl", "train", "checkpoints"])
def test_parts_of_a_run_without_its_configuration_are_refused(tmp_path: pathlib.Path, tree: Tree, name: str) -> None:
    (tmp_path / name).mkdir()
    assert f"holds {name} but no config.json" in refusal(config(tmp_path))
    assert set(tree(tmp_path)) == {name}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model_type": "bert"}', '{"l1": -1}', '{"hidden": 3}', "\xff"])
def test_a_config_json_that_is_not_ours_is_refused(tmp_path: pathlib.Path, tree: Tree, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    before = tree(tmp_path)
    assert "holds a run that cannot be resumed" in refusal(config(tmp_path))
    assert tree(tmp_path) == before


def test_other_files_in_the_folder_are_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    RunDirectory(config(tmp_path)).create()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_without_permission_is_refused_before_anything_is_made(tmp_path: pathlib.Path, tree: Tree,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # The tests may run as root.
    assert f"{tmp_path} is not a writable folder" in refusal(config(tmp_path / "a" / "b"))
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("folder", ["/proc/reglab/run", "/dev/null/run", "~nobody-of-this-name/run", "x" * 300,
                                    "\0"])
def test_a_folder_that_cannot_be_made_is_refused(folder: str) -> None:
    with pytest.raises(ConfigError, match="^--model_dir=") as caught:
        RunDirectory(config(folder)).create()
    assert "\n" not in str(caught.value)


def test_a_tilde_is_the_home_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    RunDirectory(config("~/run")).create()
    assert (tmp_path / "run" / "config.json").exists()


# The result.

def test_a_result_is_written_whole_and_its_digest_noted(tmp_path: pathlib.Path) -> None:
    directory = RunDirectory(config(tmp_path))
    directory.create()
    directory.write_result({"completed": True, "steps": 7, "x": 0.1})
    assert json.loads((tmp_path / "result.json").read_text()) == {"completed": True, "steps": 7, "x": 0.1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "result.json", "run.json"]
    assert read_run_file(tmp_path).result == hashlib.sha256((tmp_path / "result.json").read_bytes()).hexdigest()


# Default names.

def test_default_names_tell_data_and_penalties_and_are_unique(tmp_path: pathlib.Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder_names.time, "strftime", lambda text: "20260131-101530")
    asked = Config(l1=1e-3, l2=0.5)
    with own_folder(asked) as first, own_folder(asked) as second, own_folder(asked) as third:
        RunDirectory(second).create()
    base = "runs/20260131-101530-digits-l1=0.001-l2=0.5"
    assert [first.model_dir, second.model_dir, third.model_dir] == [base, f"{base}-2", f"{base}-3"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [f"{base}-2"[5:]]  # Nothing is in the others.
    assert with_default_name(Config(dataset="/data/my images.npz")).model_dir == "runs/20260131-101530-my-images"
    with own_folder(asked, "sweep") as swept:
        assert swept.model_dir == f"{base}-sweep"


def test_a_run_is_not_resumed_on_other_data(tmp_path: pathlib.Path) -> None:
    config = Config(model_dir=str(tmp_path / "run"))
    directory = RunDirectory(config)
    facts = {"description": "some data", "digest": "00000001", "divisor": 16.0}
    directory.bind(facts)
    directory.create()
    assert json.loads((tmp_path / "run" / "data.json").read_text()) == facts
    RunDirectory(config).bind(facts)
    with pytest.raises(ConfigError, match=r"other data \(digest 00000001, here 00000002\): name another folder"):
        RunDirectory(config).bind({**facts, "digest": "00000002"})
