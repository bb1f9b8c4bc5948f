"""The command: what it prints, its exit codes, and bad input."""

from __future__ import annotations

import json
import pathlib

import pytest

import reglab
from reglab.export import exporting
from reglab.export.__main__ import main
from reglab.inputs import exit_codes

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("export") / "run"
    reglab.fit(reglab.Config(train_size=100, hidden=(4,), epochs=1, jit=False, model_dir=str(folder)))
    return str(folder)


def test_it_says_what_was_written_and_how_to_use_it(model_dir: str, tmp_path: pathlib.Path,
                                                    capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "a.keras"
    assert main([f"--model_dir={model_dir}", f"--output={output}"]) == exit_codes.SUCCESS
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("Network     best state, step 4, validation data loss 2.")
    assert lines[1] == "Takes       x of [batch, 8, 8] as the data have it, 0 to 16; gives logits of 10 classes"
    assert lines[2].startswith("Checked     read back, its logits differ by ")
    assert lines[3:] == [f'Written to  {output} (Keras model): keras.models.load_model("{output}")']
    assert err == ""


def test_json_is_one_object_alone_on_stdout(model_dir: str, tmp_path: pathlib.Path,
                                            capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "a.npz"
    assert main([f"--model_dir={model_dir}", f"--output={output}", "--state=last", "--json"]) == exit_codes.SUCCESS
    out, err = capfd.readouterr()
    shown = json.loads(out)
    assert shown.pop("largest_difference") < 1e-5
    assert 0 < shown.pop("validation")["accuracy"] < 1
    assert shown == {"output": str(output), "format": "NumPy arrays", "state": "last", "step": 4,
                     "input_shape": [8, 8], "divisor": 16, "classes": 10,
                     "compared_on": "64 validation examples and 64 random inputs"}
    assert err.count("\n") == 4


def test_a_wrong_copy_is_code_4(model_dir: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str],
                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_difference", lambda *_: float("nan"))
    assert main([f"--model_dir={model_dir}", f"--output={tmp_path / 'a.npz'}"]) == exit_codes.VERDICT_FAILED
    assert "differs from the run's network by nan" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("argv", "said"), [
    ([], "--model_dir is missing"),
    (["--model_dir={empty}"], "--model_dir={empty} holds no run: name the folder of one\n"),
    (["--model_dir={run}", "--output={empty}"], "--output={empty} exists already"),
    (["--model_dir={run}", "--output=a.h5"], "--output=a.h5: reglab writes .keras, .npz, .onnx, .tflite files"),
    (["--model_dir={run}", "--output={run}/config.json/a.npz"], "cannot be written (File exists)"),
    (["--model_dir={run}", "--state=first"], "--state=first: choose one of best, last"),
    (["--model_dir={run}", "--state=bets"], "choose one of best, last; did you mean best?"),
    (["--model_dir={run}", "--l1=1"], "Unknown command line flag 'l1'"),
    (["--model_dir={run}", "--format=onxn"], "did you mean onnx?"),
    (["--model_dir={run}", "--format=npz", "--output=a.keras"], "=a.keras is no name for it: let it end in .npz"),
    (["{run}"], "every setting is a flag such as --model_dir="),
])
def test_bad_input_is_code_2_and_one_line(argv: list[str], said: str, model_dir: str, tmp_path: pathlib.Path,
                                          capfd: pytest.CaptureFixture[str]) -> None:
    places = {"run": model_dir, "empty": str(tmp_path)}
    assert main([argument.format(**places) for argument in argv]) == exit_codes.BAD_INPUT
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("reglab: ") and said.format(**places) in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_is_answered_with_its_winner(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "winner").mkdir()
    (tmp_path / "winner" / "config.json").write_text("{}")
    assert main([f"--model_dir={tmp_path}"]) == exit_codes.BAD_INPUT
    assert f"for example --model_dir={tmp_path / 'winner'}" in capfd.readouterr().err


def test_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == exit_codes.SUCCESS
    out = capfd.readouterr().out
    assert "--model_dir" in out and "--epochs" not in out and "--config_file" not in out
