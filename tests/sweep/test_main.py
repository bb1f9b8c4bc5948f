"""`python -m reglab.sweep` at a prompt."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from reglab.console.format import number, percent
from reglab.sweep.__main__ import main

QUICK = ["--hidden=4", "--epochs=2", "--batch_size=64", "--jit=false", "--train_size=200"]
TWO = ["--l1=0,1e-3"]


@pytest.mark.parametrize(("argv", "named"), [
    (["--l1=x"], "--l1=x"), (["--l1=1:2"], "--l1=1:2"), (["--seeds=0"], "--seeds=0"), (["--folds=1"], "--folds=1"),
    (["--select=loss"], "--select=loss"), (["--lanes_per_call=0"], "--lanes_per_call=0"), (["--foo=1"], "foo"),
    ([*TWO, "--penalize=none_such"], "--penalize=none_such matches no layer"),
    ([*TWO, "--batch_size=9999"], "--batch_size=9999"), (["--l1=1e-3"], "nothing to sweep"), ([], "nothing to sweep"),
    ([*TWO, "--vary=orders"], "did you mean order?"), ([*TWO, "--path", "--vary=order"], "--path trains"),
    ([*TWO, "--vary=order", "--seeds=2", f"--data_seed={2**63 - 1}"], "--data_seed="),
    (["--select=acuracy"], "did you mean accuracy?"), (["--select=data"], "did you mean data_loss?"),
    ([*TWO, "--penalize=hiden"], "did you mean hidden?"),
    (["--path"], "--path: "), (["--path", "--l1=0,1", "--folds=2"], "--path trains"), (["--l1=-1"], "--l1=-1.0"),
    ([*TWO, "--folds=2000"], "--folds=2000"), ([*TWO, "--resume=must"], "--resume=must"),
    (["--strategy=mirrored"], "strategy")])
def test_what_cannot_be_used_ends_with_code_2_and_one_line(argv: list[str], named: str, tmp_path: pathlib.Path,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"--model_dir={tmp_path / 'sweep'}", *argv]) == 2
    shown = capsys.readouterr()
    assert named in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "sweep").exists()


def test_help_comes_without_tensorflow() -> None:
    code = ("import sys; from reglab.sweep.__main__ import main; main(['--help']); "
            "sys.exit('tensorflow' in sys.modules)")
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.returncode == 0
    for flag in ("--l1", "--seeds", "--folds", "--select", "--lanes_per_call", "--path"):
        assert flag in shown.stdout


def test_json_on_stdout_and_all_else_on_stderr(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sweep"
    assert main([*QUICK, "--l1=0,1e-3", "--seeds=2", f"--model_dir={path}", "--json"]) == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert result == json.loads((path / "sweep.json").read_text())
    best = result["points"][result["best"]]  # The last line of progress names it, as the mean over its seeds.
    assert (f"best so far l1={best['l1']:g} l2=0: validation data loss "
            f"{number(best['validation']['data_loss']['mean'])}, "
            f"accuracy {percent(best['validation']['accuracy']['mean'])}") in shown.err
    for text in ("2 of 2 points done", "best so far", "<- best", "tensorboard --logdir", "winner",
                 *result["findings"]["sentences"], result["findings"]["standard_error"],
                 "not the sampling error of the validation examples", "+- is one standard error over 2 seeds"):
        assert text in shown.err


def test_the_winner_is_a_run_that_train_accepts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reglab.sweep import outputs
    from reglab.train import main as train

    monkeypatch.setattr(outputs, "sweep_pictures", lambda *arguments: None)
    assert main([*QUICK, "--l1=0,1e-3", f"--model_dir={tmp_path}"]) == 0
    winner = tmp_path / "winner"
    assert train([f"--config_file={winner / 'config.json'}", f"--model_dir={winner}", "--resume=must"]) == 0
    assert train([f"--config_file={winner / 'config.json'}", f"--model_dir={winner}", "--resume=must",
                  "--batch_size=7"]) == 2


def test_a_path(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--path", "--l1=1e-4:1e-3:2", f"--model_dir={tmp_path}"]) == 0
    out, result = capsys.readouterr().out, json.loads((tmp_path / "path.json").read_text())
    for text in ("<- best", "Warm starts, and cold starts after the same number of steps:", "tensorboard --logdir",
                 *result["findings"]["sentences"], *result["findings"]["warm_starts"]["sentences"],
                 result["findings"]["standard_error"]):
        assert text in out


def test_sigterm_stops_within_seconds_and_the_same_command_goes_on(tmp_path: pathlib.Path) -> None:
    argv = [*QUICK, "--l1=0,1e-3", "--seeds=2", "--lanes_per_call=1", "--epochs=2000"]
    process = subprocess.Popen([sys.executable, "-m", "reglab.sweep", *argv, f"--model_dir={tmp_path}"],
                               env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "plan.json").exists() and process.poll() is None:
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 75
    assert "goes on" in errors
    assert f"--model_dir={tmp_path}" in errors
