"""Where an export goes: whose it is, and that nothing but reglab's own is removed there."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import threading

import pytest

from reglab.config import ConfigError
from reglab.export.outputs import output_path, owning_output, scratch_folder
from reglab.ownership import owning


def refused(model_dir: pathlib.Path, output: pathlib.Path | None) -> str:
    """What another thread hears of it; nothing if it may."""
    heard: list[str] = []

    def enter() -> None:
        try:
            with owning_output(model_dir, output_path(model_dir, output)):
                pass
        except ConfigError as error:
            heard.append(str(error))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return "".join(heard)


def test_a_run_at_work_can_be_exported_elsewhere_only(tmp_path: pathlib.Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    run.mkdir()
    with owning(run):
        assert refused(run, None).startswith(f"--model_dir={run} is in use by process {os.getpid()}")
        assert refused(run, run / "a.npz").startswith(f"--model_dir={run} is in use by process {os.getpid()}")
        assert refused(run, elsewhere / "a.npz") == ""
    assert sorted(tmp_path.rglob("*")) == [run]


def test_one_export_to_an_output(tmp_path: pathlib.Path) -> None:
    with owning_output(tmp_path / "run", tmp_path / "a.npz"):
        assert refused(tmp_path / "run", tmp_path / "a.npz").startswith(f"--output={tmp_path / 'a.npz'} is in use by ")
        assert refused(tmp_path / "run", tmp_path / "b.npz") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_not_made(tmp_path: pathlib.Path) -> None:
    with owning_output(tmp_path / "none", output_path(tmp_path / "none", None)):
        assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_of_a_killed_export_is_removed_and_what_is_not_ours_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "saved"
    for name in ("network/variables/variables.index", "network/saved_model.pb", "network.npz"):
        left = tmp_path / ".saved.reglab" / name
        left.parent.mkdir(parents=True, exist_ok=True)
        left.touch()
    with scratch_folder(path) as scratch:
        assert list(scratch.iterdir()) == []
        (scratch / "network.keras").touch()
    assert list(tmp_path.iterdir()) == []
    scratch.mkdir()
    (scratch / "notes.txt").write_text("mine")
    line = f"--output={path}: {scratch / 'notes.txt'} is in the way: move it away"
    with pytest.raises(ConfigError, match=line), scratch_folder(path):
        pass
    assert (scratch / "notes.txt").read_text() == "mine"


def test_it_is_refused_before_tensorflow_is_imported(tmp_path: pathlib.Path) -> None:
    code = ("import sys; from reglab.export.__main__ import main; code = main(sys.argv[1:]); "
            "sys.exit(code if 'tensorflow' not in sys.modules else 1)")
    with owning(tmp_path):
        done = subprocess.run([sys.executable, "-c", code, f"--model_dir={tmp_path}"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"reglab: --model_dir={tmp_path} is in use by process {os.getpid()} on ")
    assert done.stderr.count("\n") == 1
