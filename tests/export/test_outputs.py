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
from reglab.storage.ownership import owning


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


def said_without_tensorflow(*argv: str, cwd: pathlib.Path) -> str:
    """What the command says before it imports TensorFlow."""
    code = ("import sys; from reglab.export.__main__ import main; code = main(sys.argv[1:]); "
            "sys.exit(code if 'tensorflow' not in sys.modules else 1)")
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, cwd=cwd, env=env)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_it_is_refused_before_tensorflow_is_imported(tmp_path: pathlib.Path) -> None:
    with owning(tmp_path):
        said = said_without_tensorflow(f"--model_dir={tmp_path}", cwd=tmp_path)
    assert said.startswith(f"reglab: --model_dir={tmp_path} is in use by process {os.getpid()} on ")


@pytest.mark.parametrize(("argv", "said"), [
    (["--model_dir=none"], "none holds no run"), (["--model_dir=loop"], "--model_dir=loop cannot be used"),
    (["--model_dir=~no_such_user"], "cannot be used"), (["--model_dir=" + "x" * 300], "(File name too long)"),
    (["--model_dir=deep"], "is not JSON that can be used"), (["--model_dir=large"], "are free"),
    (["--model_dir=shapeless"], "data.json does not tell the shape"),
    (["--model_dir=none", "--output=loop/x"], "--output=loop/x cannot be used"),
    (["--model_dir=none", "--output=~no_such_user/x"], "cannot be used"),
    (["--model_dir=none", "--output=deep"], "--output=deep exists already"),
    (["--model_dir=none", "--output=a.h5"], "reglab writes .keras, .npz")])
def test_a_bad_folder_or_output_is_told_before_tensorflow_is_imported(argv: list[str], said: str,
                                                                     tmp_path: pathlib.Path) -> None:
    facts = '{"input_shape": %s, "divisor": 1, "classes": 9}'
    for name, config, data in (("deep", "[" * 100_000, ""), ("large", "{}", facts % [2**31 - 1, 2**31 - 1]),
                               ("shapeless", "{}", facts % [0, "8"])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(config)
        (tmp_path / name / "data.json").write_text(data)
    (tmp_path / "loop").symlink_to("loop")
    assert said in said_without_tensorflow(*argv, cwd=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "large", "loop", "shapeless"]
