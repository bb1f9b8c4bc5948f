"""The command: what it lists, its order, its JSON, and what it refuses."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

import reglab
from reglab.inputs import exit_codes
from reglab.runs.__main__ import main
from tests.records.made import make_comparison, make_run, make_sweep


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with a run, a stopped one, a broken one, a sweep and a comparison, an hour between each two."""
    now = time.time()
    made = [make_run(tmp_path / "good", l1=1e-3, data_loss=0.25), make_sweep(tmp_path / "grid"),
            make_comparison(tmp_path / "arms"), make_run(tmp_path / "bad"),
            make_run(tmp_path / "half", completed=False, hidden=(32,),
                     ended={"how": "stopped", "step": 8, "line": "stopped by SIGINT after step 8, saved"})]
    for name in ("config.json", "run.json"):
        (tmp_path / "bad" / name).write_text("{")
    for hours, one in enumerate(made, 1):
        for path in one.rglob("*"):
            os.utime(path, (now - 3600 * hours, now - 3600 * hours))
    return tmp_path


def names(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines()[1:]]


def test_the_table(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder)]) == exit_codes.SUCCESS
    out, err = capsys.readouterr()
    assert err == "" and names(out) == ["good", "grid", "arms", "bad", "half"]
    lines = out.splitlines()
    assert lines[0].split() == ["name", "kind", "state", "dataset", "steps", "data", "loss", "accuracy", "age", "size",
                                "what", "differs"]
    assert lines[1].split()[:8] == ["good", "run", "done", "digits", "16", "0.2500", "75.00", "%"]
    assert lines[1].endswith("  l1=0.001 epochs=4") and "l1=0 to 0.001 (3 values) epochs=3 seeds=2" in lines[2]
    assert "broken" in lines[4] and lines[4].endswith("  config.json holds no JSON object")
    assert lines[5].split()[2:7] == ["stopped", "digits", "8", "of", "16"] and "hidden=32" in lines[5]


@pytest.mark.parametrize(("sort", "order"), [
    ("name", ["arms", "bad", "good", "grid", "half"]), ("data_loss", ["arms", "good", "grid", "bad", "half"]),
    ("accuracy", ["arms", "grid", "good", "bad", "half"]), ("steps", ["good", "half", "arms", "bad", "grid"]),
    ("state", ["arms", "good", "grid", "half", "bad"])])
def test_what_sorts(sort: str, order: list[str], folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), f"--sort={sort}"]) == exit_codes.SUCCESS
    assert names(capsys.readouterr().out) == order


def test_json_and_python_tell_the_same(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", str(folder)]) == exit_codes.SUCCESS
    told = json.loads(capsys.readouterr().out)
    assert told["differs"] == ["hidden", "l1", "epochs", "seeds"]
    assert [run["name"] for run in told["runs"]] == ["good", "grid", "arms", "bad", "half"]
    first = told["runs"][0]
    assert first["best"] == {"data_loss": 0.25, "accuracy": 0.75} and first["step"] == 16
    assert 3590 < first["age"] < 3700 and first["bytes"] > 1000
    found = reglab.runs(folder)
    assert [record.folder.name for record in found] == [run["name"] for run in told["runs"]] and len(found) == 5
    assert str(found).splitlines()[0].startswith("name") and "<td>good</td>" in found._repr_html_()


@pytest.mark.parametrize(("argv", "said"), [
    (["{0}/none"], "none does not exist: name a folder with runs"), (["{0}/good/run.json"], "run.json is no folder"),
    (["{0}", "b"], "b is one folder too many"), (["{0}", "--sort=siez"], "did you mean size?"),
    (["x" * 300], "cannot be used (File name too long)"), (["gs://x"], "gs:// is not supported"),
    (["a\nb"], r"a\nb cannot be used: it holds the control character"), ([""], "'' is no folder: name a folder"),
    (["{0}", "--l1=1"], "Unknown command line flag 'l1'")])
def test_bad_input_is_code_2_and_one_line(argv: list[str], said: str, folder: pathlib.Path,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    assert main([argument.format(folder) for argument in argv]) == exit_codes.BAD_INPUT
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.startswith("reglab: ") and err.count("\n") == 1


def test_numbers_beyond_all_bounds_are_told_as_json(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "config.json").write_text('{"dataset": "digits", "l1": 1e999, "epochs": ' + "9" * 4000 + "}")
    assert main([str(tmp_path), "--json"]) == main([str(tmp_path)]) == exit_codes.SUCCESS
    assert json.loads(capsys.readouterr().out.splitlines()[0])["runs"][0]["settings"]["l1"] is None


def test_an_empty_folder_is_no_error(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == exit_codes.SUCCESS
    assert capsys.readouterr().out == f"There is no run, comparison or sweep in {tmp_path}.\n"


def test_a_list_imports_nothing_heavy(folder: pathlib.Path) -> None:
    code = ("import sys; from reglab.runs.__main__ import main; assert main(sys.argv[1:]) == 0; "
            "print([name for name in ('numpy', 'tensorflow', 'rich', 'matplotlib') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True,
                          cwd=pathlib.Path(__file__).parents[2])
    assert done.stdout.splitlines()[-1] == "[]"
