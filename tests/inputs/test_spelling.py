"""Messages speak of flags in a command, and of arguments in Python."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import reglab
from reglab.__main__ import main
from reglab.config import ConfigError
from reglab.inputs import spelling
from reglab.inputs.spelling import spelled


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As no command runs: the tests are otherwise told messages as commands print them."""
    monkeypatch.setattr(spelling, "_commands", 0)
    yield


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(("message", "argument"), [
    ("--l1=-1: give a number", "l1=-1: give a number"),
    ("it needs --optimizer=adamw, or (--jit=false)", "it needs optimizer=adamw, or (jit=False)"),
    ("runs/a--b and --model_dir=runs/a--b/--c", "runs/a--b and model_dir=runs/a--b/--c"),
    ("no flag: --, ---x, 3--4", "no flag: --, ---x, 3--4"), ("--falsehood=falsely", "falsehood=falsely")])
def test_in_python_a_flag_is_an_argument(message: str, argument: str) -> None:
    assert spelled(message) == argument
    assert str(ConfigError(message)) == ConfigError(message).line == argument


@pytest.mark.usefixtures("in_python")
def test_a_command_speaks_of_flags_and_python_of_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"^l1=-1\.0: give a finite number"):
        reglab.Config(l1=-1)
    with pytest.raises(ConfigError, match="^weight_decay=0.1: .* needs optimizer=adamw; .* use l2"):
        reglab.Config(weight_decay=0.1)
    assert main(["train", "--l1=-1"]) == 2
    assert "reglab: --l1=-1.0: give a finite number" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="^l1=-1"):  # After the command as before it.
        reglab.Config(l1=-1)
