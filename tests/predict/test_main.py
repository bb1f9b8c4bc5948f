"""The command: what it prints, its exit codes, and bad input."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import reglab
from reglab.data import load
from reglab.inputs import exit_codes
from reglab.predict.__main__ import main


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("predict") / "run"
    reglab.fit(reglab.Config(train_size=100, hidden=(4,), epochs=1, jit=False, model_dir=str(folder)))
    return str(folder)


def test_it_says_what_was_predicted_and_in_json_too(model_dir: str, tmp_path: pathlib.Path,
                                                    capfd: pytest.CaptureFixture[str]) -> None:
    test = load("digits").test
    assert test is not None
    np.save(tmp_path / "x.npy", test.x)
    argv = [model_dir, f"--input={tmp_path / 'x.npy'}", f"--output={tmp_path / 'y.npz'}"]
    assert main(argv) == exit_codes.SUCCESS
    out, err = capfd.readouterr()
    assert err == "" and out.splitlines()[0] == f"Network     best state, step 4 of {model_dir}"
    assert out.splitlines()[1].startswith("Predicted   360 examples, ")
    assert main([*argv, "--overwrite", "--json"]) == exit_codes.SUCCESS
    shown = json.loads(capfd.readouterr().out)
    assert shown["examples"] == sum(shown["predicted"]) == 360 and shown["output"] == str(tmp_path / "y.npz")


@pytest.mark.parametrize(("argv", "said"), [
    ([], "--model_dir is missing: name the folder of a run"),
    (["{run}"], "--input is missing: name a .npy, .csv or .parquet file"),
    (["{run}", "--input=x.npy"], "--output is missing"),
    (["{run}", "--input=no.npy", "--output=y.txt"], "ends in .npz"),
    (["{run}", "--input=no.npy", "--output=y.csv"], "--input=no.npy cannot be read (No such file"),
    (["{run}", "--input=no.npy", "--output=y.csv", "--state=x"], "--state=x: choose one of best, last"),
    (["{run}/nowhere", "--input=no.npy", "--output=y.csv"], "holds no run")])
def test_bad_input_is_code_2_and_one_line(model_dir: str, argv: list[str], said: str,
                                          capfd: pytest.CaptureFixture[str]) -> None:
    assert main([word.format(run=model_dir) for word in argv]) == exit_codes.BAD_INPUT
    out, err = capfd.readouterr()
    assert out == "" and said in err and err.startswith("reglab: ") and err.count("\n") == 1
