"""The README keeps its word: every flag is named, and every command it shows is one that exists."""

from __future__ import annotations

import importlib.util
import pathlib
import re
import shlex

import pytest

from reglab import flags

README = pathlib.Path(__file__).parent.parent / "README.md"


def commands() -> list[list[str]]:
    """The words of each `python -m reglab.…` line in a code block; a backslash continues a line."""
    text = README.read_text(encoding="utf-8").replace("\\\n", " ")
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    (.*)$", text, re.MULTILINE)
    given = re.findall(r"(?:^|[\s/])python3? -m (reglab\..*)", "\n".join([*fenced, *indented]), re.MULTILINE)
    return [shlex.split(re.split(r"\s[|>&;]+\s", command)[0], comments=True) for command in given]


def test_every_flag_is_named() -> None:
    names = re.findall(r"^  --(\w+)", flags.help_text("reglab.train", ""), re.MULTILINE)
    text = README.read_text(encoding="utf-8")
    assert len(names) > 30
    assert [name for name in names if not re.search(rf"--{name}\b", text)] == []


def test_there_are_commands_to_try() -> None:
    assert any(command[0] == "reglab.train" for command in commands())


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_can_be_given(command: list[str]) -> None:
    module, *argv = command
    assert importlib.util.find_spec(module) is not None
    if module == "reglab.train":
        flags.parse([argument for argument in argv if not argument.startswith("--config_file")])
