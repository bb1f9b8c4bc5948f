"""The command: what it prints, its exit codes, and bad input."""

from __future__ import annotations

import json
import pathlib

import pytest

import reglab
from reglab.evaluate.__main__ import main
from reglab.inputs import exit_codes


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("evaluate") / "run"
    reglab.fit(reglab.Config(train_size=100, hidden=(4,), epochs=1, jit=False, model_dir=str(folder)))
    return str(folder)


def test_it_prints_a_table_and_ends_with_sentences(model_dir: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([model_dir, "--state=last"]) == exit_codes.SUCCESS
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert lines[0] == f"Network      last state, step 4 of {model_dir}"
    assert lines[1] == "Examples     the 360 test examples of digits"
    assert lines[6].split() == ["class", "support", "precision", "recall", "most", "often", "taken", "for"]
    assert [line.split()[0] for line in lines[7:17]] == [str(k) for k in range(10)]
    assert lines[-1] == f"Written to {model_dir}/evaluation/digits-test-step-4"
    assert any(line.startswith("On the 360 test examples of digits the network (last state, step 4) is right on ")
               for line in lines)


def test_json_is_one_object_alone_on_stdout(model_dir: str, tmp_path: pathlib.Path,
                                            capfd: pytest.CaptureFixture[str]) -> None:
    assert main([f"--model_dir={model_dir}", "--split=validation", f"--output={tmp_path / 'new'}",
                 "--json"]) == exit_codes.SUCCESS
    out, err = capfd.readouterr()
    shown = json.loads(out)
    assert shown == json.loads((tmp_path / "new" / "evaluation.json").read_text())
    assert out.count("\n") == 1 and err.startswith("Network      best state, step 4 of ")
    assert shown["sentences"][-1] == "These examples chose the best state, so the figures are optimistic."
    assert "\n".join(shown["sentences"]) in err


@pytest.mark.parametrize(("argv", "said"), [
    ([], "the folder of a run is missing: name it first, or with --model_dir"),
    (["{run}/nowhere"], "holds no run: name the folder of one"), (["{run}", "--state=worst"], "--state=worst: choose"),
    (["{run}", "--split=exam"], "--split=exam: choose one of test, validation, train"),
    (["{run}", "--dataset=imagenet"], "--dataset=imagenet: choose"), (["{run}", "{run}"], "unexpected argument"),
    (["{run}", "--dataset=missing.npz"], "there is no such file"), (["{run}", "--l1=1"], "l1"),
    (["{run}", "--dataset=mnist", "--data_dir={run}"], "--data_dir=")])
def test_bad_input_is_code_2_and_one_line(model_dir: str, argv: list[str], said: str,
                                          capfd: pytest.CaptureFixture[str]) -> None:
    assert main([word.format(run=model_dir) for word in argv]) == exit_codes.BAD_INPUT
    out, err = capfd.readouterr()
    assert out == "" and said in err and err.startswith("reglab: ") and err.count("\n") == 1


def test_help_says_that_the_folder_comes_first(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == exit_codes.SUCCESS
    assert capfd.readouterr().out.startswith("usage: python -m reglab.evaluate DIR [--flag=value ...]\n")
