"""The README keeps its word: every flag is named, and every command it shows is one that exists."""

from __future__ import annotations

import importlib.util
import pathlib
import re
import shlex

import pytest

from reglab.cli import flags
from tests.readme_tables import written

README = pathlib.Path(__file__).parent.parent / "README.md"


def commands() -> list[list[str]]:
    """The words of each line in a code block that starts a command, as of `python -m`; a backslash continues a line."""
    text = README.read_text(encoding="utf-8").replace("\\\n", " ")
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    (.*)$", text, re.MULTILINE)
    given = re.findall(r"(?:^|[\s/])python3? -m (reglab\..*)", "\n".join([*fenced, *indented]), re.MULTILINE)
    given += [f"reglab.{command}" for command in re.findall(r"^reglab (\w.*)", "\n".join([*fenced, *indented]),
                                                            re.MULTILINE)]
    return [shlex.split(re.split(r"\s[|>&;]+\s", command)[0], comments=True) for command in given]


def test_every_flag_is_named() -> None:
    names = re.findall(r"^  --(\w+)", flags.help_text("reglab.train", ""), re.MULTILINE)
    text = README.read_text(encoding="utf-8")
    assert len(names) > 30
    assert [name for name in names if not re.search(rf"--{name}\b", text)] == []


def test_the_tables_of_flags_are_made_from_their_declarations() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == written(text), "run python -m tests.readme_tables"


def test_a_table_that_is_out_of_date_is_written_anew() -> None:
    text = README.read_text(encoding="utf-8")
    assert written(text.replace("| `--batch_size` | 32 |", "| `--batch_size` | 64 |")) == text


def test_there_are_commands_to_try() -> None:
    assert any(command[0] == "reglab.train" for command in commands())
    assert ["reglab.sweep", "--help"] in commands()


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_can_be_given(command: list[str]) -> None:
    module, *argv = command
    assert importlib.util.find_spec(module) is not None
    if module == "reglab.train":
        flags.parse([argument for argument in argv if not argument.startswith("--config_file")])


def test_its_pictures_are_there_and_can_be_read_without_seeing_them() -> None:
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", README.read_text(encoding="utf-8"))
    assert pictures
    for words, path in pictures:
        assert len(words) > 50
        assert (README.parent / path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
