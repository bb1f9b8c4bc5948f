"""`python -m reglab`: the commands by name, answered at once."""

from __future__ import annotations

import configparser
import importlib
import pathlib
import re
import subprocess
import sys

import pytest

import reglab
from reglab import train
from reglab.__main__ import COMMANDS, main
from reglab.cli import flags
from reglab.cli.dry_run import DRY_RUN
from reglab.inputs import exit_codes

ROOT = pathlib.Path(__file__).parent.parent


def test_without_a_command_it_lists_them_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == main(["--help"]) == main(["-h"]) == exit_codes.SUCCESS
    out, err = capsys.readouterr()
    assert err == ""
    lines = out[:len(out) // 3].splitlines()
    assert max(map(len, lines)) <= 110
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(COMMANDS)


def test_every_module_that_is_run_as_a_command_is_listed() -> None:
    found = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "reglab").rglob("*.py")
             if re.search(r"^    run_process\(main\)$", path.read_text(), re.MULTILINE)}
    assert found - {"reglab.__main__"} == {module for module, _ in COMMANDS.values()}
    for name, (module, purpose) in COMMANDS.items():
        assert module.removesuffix(".__main__") == f"reglab.{name}"
        assert callable(importlib.import_module(module).main)
        assert purpose.endswith(".") and "\n" not in purpose


def test_a_command_by_its_name_is_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == exit_codes.SUCCESS
    assert capsys.readouterr().out == flags.help_text("reglab.train", train.purpose(), DRY_RUN) + "\n"
    assert main(["train", "--l1=-1"]) == exit_codes.BAD_INPUT
    assert capsys.readouterr().err.startswith("reglab: --l1=-1.0: give a finite number")


@pytest.mark.parametrize(("argv", "said"), [
    (["trian"], "there is no command 'trian'; did you mean train? python -m reglab lists the commands"),
    (["Sweep", "--l1=1"], "there is no command 'Sweep'; did you mean sweep? "),
    (["--verison"], "did you mean --version?"),
    (["xyzzy"], "there is no command 'xyzzy'; python -m reglab lists the commands"),
    (["--l1=1"], "there is no command '--l1=1'; python -m reglab lists"), ([""], "there is no command ''; "),
    (["a\nb"], r"there is no command 'a\nb'; "), (["x" * 10**6], "(1,000,000 characters)'; python -m")])
def test_a_wrong_command_is_code_2_and_one_line(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == exit_codes.BAD_INPUT
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.startswith("reglab: ") and err.count("\n") == 1 and len(err) <= 510


@pytest.mark.parametrize("argv", [["--version"], *([name, "--version"] for name in COMMANDS),
                                  ["train", "--l1=x", "--version"]], ids=" ".join)
def test_the_version_is_answered_before_all_else(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == exit_codes.SUCCESS
    assert capsys.readouterr() == (f"reglab {reglab.__version__}\n", "")


@pytest.mark.parametrize("argument", ["--version", "--help", "--xyzzy"])
def test_no_command_imports_numpy_to_answer(argument: str) -> None:
    """In one process, in which whatever one command imports would be found by the next too."""
    code = ("import sys; from reglab.__main__ import COMMANDS, main; "
            f"[main([name, {argument!r}]) for name in COMMANDS]; "
            "print([name for name in ('numpy', 'tensorflow', 'keras', 'rich', 'scipy', 'matplotlib') if name in "
            "sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_console_script_is_this() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    name, target = setup["options.entry_points"]["console_scripts"].strip().split(" = ")
    module, function = target.split(":")
    done = subprocess.run([sys.executable, "-c", f"from {module} import {function}; {function}()", "export"], cwd=ROOT,
                          capture_output=True, text=True)
    assert (name, done.returncode, done.stdout) == ("reglab", 2, "")
    assert done.stderr == "reglab: --model_dir is missing: name the folder of a run\n"


def test_python_m_reglab_is_too() -> None:
    done = subprocess.run([sys.executable, "-m", "reglab", "launch", "--worker=2"], cwd=ROOT, capture_output=True,
                          text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("reglab: --worker is no flag of launch: put the flags of the workers after a --; did you "
                           "mean --workers?\n")
