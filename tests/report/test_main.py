"""The command: what it prints and writes, bad input, and the page in a browser."""

from __future__ import annotations

import html
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

from reglab.inputs import exit_codes
from reglab.report.__main__ import main
from tests.records.made import make_comparison, make_run, make_sweep

BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
               None)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with two runs, a sweep and a comparison."""
    make_run(tmp_path / "runs" / "a", l1=1e-3)
    make_run(tmp_path / "runs" / "b", l1=1e-4, data_loss=0.25)
    make_sweep(tmp_path / "runs" / "s")
    make_comparison(tmp_path / "runs" / "c")
    return tmp_path / "runs"


def test_it_prints_and_writes(folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str],
                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(folder / "a"), str(folder / "b")]) == exit_codes.SUCCESS
    out, err = capsys.readouterr()
    assert out.startswith("2 runs\n2 done; ") and out.endswith("\n\nWritten to report.html\n") and err == ""
    assert (tmp_path / "report.html").exists()
    assert main(["--output=all.html", "--json", str(folder)]) == exit_codes.SUCCESS
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert [run["name"] for run in told["runs"]] == ["a", "b"] and told["output"] == "all.html"
    assert [one["kind"] for one in told["experiments"]] == ["compare", "sweep"]
    assert told["experiments"][1]["result"]["best"] == 2 and "Sweep s" in err


@pytest.mark.parametrize(("argv", "said"), [
    ([], "there is nothing to report on"), (["none"], "none does not exist: name a folder with runs"),
    (["{0}", "--output={0}"], "is a folder: name a file in it"),
    (["{0}/a", "--output={0}/a/run.json"], "exists, and is not as reglab.report wrote it"),
    (["{0}", "--outptu=x"], "did you mean --output?"), (["{0}", "--l1=3"], "Unknown command line flag 'l1'")])
def test_bad_input_is_code_2_and_one_line(argv: list[str], said: str, folder: pathlib.Path,
                                          capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert main([argument.format(folder) for argument in argv]) == exit_codes.BAD_INPUT
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.startswith("reglab: ") and err.count("\n") == 1
    assert [path.name for path in folder.parent.iterdir()] == ["runs"]


def test_a_report_imports_nothing_heavy(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    code = ("import sys; from reglab.report.__main__ import main; assert main(sys.argv[1:]) == 0; "
            "print([name for name in ('numpy', 'tensorflow', 'rich', 'matplotlib') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code, str(folder), f"--output={tmp_path / 'r.html'}"],
                          capture_output=True, text=True, check=True, cwd=pathlib.Path(__file__).parents[2])
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here to open the page in")
def test_a_browser_shows_all_of_it(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert main([str(folder), f"--output={tmp_path / 'r.html'}"]) == exit_codes.SUCCESS
    done = subprocess.run([str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                           "--disable-background-networking", "--disable-component-update", "--disable-sync",
                           f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
                           f"file://{tmp_path / 'r.html'}"], capture_output=True, text=True, check=True, timeout=300)
    text = html.unescape(done.stdout)
    assert "The validation data loss is lowest in b" in text and "Comparison c" in text and "Sweep s" in text
    assert text.count("<svg viewBox") == 5 + 3 + 3 and text.rstrip().endswith("</html>")
    assert "violates" not in done.stderr and "Refused" not in done.stderr, "its own policy of contents"
