"""What train and sweep can tell without TensorFlow, they tell before they import it: at once, in one line, code 2."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

CODE = ("import importlib, sys; code = importlib.import_module(sys.argv[1]).main(sys.argv[2:]); "
        "sys.exit(code if 'tensorflow' not in sys.modules else 1)")
TRAIN, SWEEP = ("reglab.train",), ("reglab.sweep.__main__", "--l1=1e-3,1e-2")


@pytest.mark.parametrize(("argv", "said"), [
    ((*TRAIN, "--resume=must"), "holds no run"), ((*TRAIN, "--model_dir=deep"), "config.json holds no JSON object"),
    ((*TRAIN, "--model_dir=other"), "cannot go on with --epochs=10"),
    ((*TRAIN, "--model_dir=other", "--epochs=3", "--resume=never"), "already holds a run"),
    ((*TRAIN, "--model_dir=pipes"), "metrics.jsonl is no file, and a file is to be there"),
    ((*SWEEP, "--resume=must"), "holds no sweep"), ((*SWEEP, "--model_dir=deep"), "plan.json that is damaged"),
    ((*SWEEP, "--model_dir=other"), "no readable plan.json"), ((*SWEEP, "--folds=2000"), "--folds=2000: digits has"),
    ((*SWEEP, "--path", "--folds=2"), "leave out --folds"), ((*SWEEP, "--path", "--l2=0,1"), "--l1, --l2 has several"),
    ((*SWEEP, "--model_dir=pipes"), "plan.json is no file, and a file is to be there")])
def test_it_is_refused_before_tensorflow_is_imported(argv: tuple[str, ...], said: str, tmp_path: pathlib.Path) -> None:
    for name, config in (("deep", "[" * 100_000), ("other", '{"epochs": 3}'), ("pipes", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(config)
    (tmp_path / "deep" / "plan.json").write_text("[" * 100_000)
    for name in ("metrics.jsonl", "plan.json"):
        os.mkfifo(tmp_path / "pipes" / name)
    before = sorted(tmp_path.rglob("*"))
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", CODE, *argv], capture_output=True, text=True, cwd=tmp_path, env=env,
                          timeout=60)
    assert said in done.stderr and done.stderr.count("\n") == 1 and done.stdout == ""
    assert done.returncode == 2
    assert sorted(tmp_path.rglob("*")) == before
