"""Completion as a user has it: a Tab typed into bash and zsh on a terminal."""

from __future__ import annotations

import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import time

import pytest

from reglab.__main__ import COMMANDS, main
from reglab.config import FLAGS, OPTIMIZERS
from reglab.inputs import exit_codes

STARTS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
BEFORE = {"bash": "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'",
          "zsh": "autoload -Uz compinit; compinit -D -u; unsetopt beep"}
TYPED = [("reglab tra", "reglab train "), ("reglab train --optimiz", "reglab train --optimizer="),
         ("reglab train --optimizer=mom", "--optimizer=momentum"), ("reglab sweep --selec", "reglab sweep --select="),
         ("reglab sweep --select=acc", "--select=accuracy"), ("reglab certify repl", "reglab certify replicas"),
         ("reglab compare --preset=tu", "--preset=tutorial"), ("reglab train --model_dir=a_fol", "_dir=a_folder/"),
         ("reglab export --state=la", "--state=last"), ("reglab train --noji", "reglab train --nojit")]


def typed(shell: str, script: pathlib.Path, lines: list[str], folder: pathlib.Path) -> str:
    """What a terminal shows when each line is typed with a Tab at its end, and then thrown away."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe(STARTS[shell][0], STARTS[shell], {**os.environ, "TERM": "dumb", "PS1": "$ ", "HISTFILE": ""})
    shown = b""

    def read_until(mark: bytes, seconds: float = 20) -> None:
        nonlocal shown
        end = time.monotonic() + seconds
        while mark not in shown[start:] and time.monotonic() < end:
            shown += os.read(terminal, 65536)

    os.write(terminal, f"{BEFORE[shell]}; source {script}; echo rea''dy\n".encode())
    start = 0
    read_until(b"ready")
    for number, line in enumerate(lines):
        start = len(shown)
        os.write(terminal, line.encode() + b"\t")
        time.sleep(0.25)
        os.write(terminal, b"\x01#\n" if shell == "bash" else b"\x15")  # A comment, or nothing: it is never run.
        os.write(terminal, f"echo do''ne{number}\n".encode())
        read_until(f"done{number}".encode())
    os.write(terminal, b"exit\n")
    os.waitpid(child, 0)
    os.close(terminal)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\x07]", "", shown.decode(errors="replace"))


@pytest.mark.parametrize("shell", STARTS)
def test_a_tab_completes_commands_flags_choices_and_paths(shell: str, tmp_path: pathlib.Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    assert main([f"--completion={shell}"]) == exit_codes.SUCCESS
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    (tmp_path / "a_folder").mkdir()
    shown = typed(shell, script, [line for line, _ in TYPED], tmp_path)
    missing = [completed for _, completed in TYPED if completed not in shown]
    assert not missing, shown


@pytest.mark.parametrize("shell", STARTS)
def test_the_script_offers_every_command_flag_and_choice(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([f"--completion={shell}"])
    script = capsys.readouterr().out
    words = set(re.findall(r"[a-z0-9_]+", script))
    assert {*COMMANDS, *FLAGS, *OPTIMIZERS, "float64", "hidden", "json", "folds", "replicas"} <= words


@pytest.mark.parametrize(("argument", "said"), [("--completion=zhs", "choose bash or zsh; did you mean zsh?"),
                                                ("--completion", "--completion=: choose bash or zsh")])
def test_an_unknown_shell_is_code_2(argument: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([argument]) == exit_codes.BAD_INPUT
    assert said in capsys.readouterr().err


def test_it_is_made_without_tensorflow_or_numpy() -> None:
    code = ("import sys; from reglab.__main__ import main; main(['--completion=bash']); "
            "print([name for name in ('numpy', 'tensorflow') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=pathlib.Path(__file__).parents[2])
    assert done.stdout.splitlines()[-1] == "[]"
