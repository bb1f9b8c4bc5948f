"""What is quoted in a message stays on its line and within its length."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from reglab.config import ConfigError
from reglab.inputs.texts import MOST_IN_LINE, MOST_SHOWN, did_you_mean, one_line, shown


class Unwilling:
    def __repr__(self) -> NoReturn:
        raise RuntimeError("no")

    __str__ = __repr__


@pytest.mark.parametrize(("value", "text"), [
    ("runs/a", "runs/a"), ("Größe 3", "Größe 3"), (0.001, "0.001"), (None, "None"), ((128, 64), "128,64"), ([], ""),
    ("a\nb\0", r"a\nb\x00"), ("\udcff", r"\udcff"), ("\u202ex", r"\u202ex"), ([[[[1]]]], "...")], ids=repr)
def test_a_value_is_quoted(value: Any, text: str) -> None:
    assert shown(value) == text


def test_what_python_cannot_write_out_is_described() -> None:
    assert shown(10**5000) == "(a whole number of some 5,000 digits)"
    assert shown(Unwilling()).startswith("<Unwilling instance at")


LONG = ["x" * 10**6, "\n" * 10**6, [4] * 3000, ["x" * 10**6] * 3, 10**400, b"x" * 10**6, {"a": "x" * 10**6},
        "\U0010ffff" * 150]


@pytest.mark.parametrize("value", LONG, ids=range(len(LONG)))
def test_a_long_value_is_shortened(value: Any) -> None:
    text = shown(value)
    assert len(text) <= MOST_SHOWN and text.isprintable()


def test_a_short_value_says_how_long_the_whole_is() -> None:
    assert shown("x" * 1000).endswith("x (1,000 characters)")
    assert shown([4] * 3000).endswith("... (3,000 values)")


def test_nesting_without_end_is_no_recursion() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert shown(value) == "..."
    while value:  # Else Python would take it apart recursively.
        value = value[0]


def test_a_message_keeps_its_ends() -> None:
    line = one_line("--l1=" + "x" * 10**6 + ": give a number")
    assert line.startswith("--l1=xxx") and line.endswith(": give a number")
    assert len(line) == MOST_IN_LINE
    assert one_line("two\n  lines") == "two lines"
    assert one_line(ValueError()) == "ValueError"
    assert one_line(Unwilling()) == "Unwilling"


def test_every_error_of_the_user_is_such_a_line() -> None:
    assert str(ConfigError("a\n" * 10**6)).isprintable()
    assert len(str(ConfigError("\udc80" * 10**6))) <= MOST_IN_LINE


@pytest.mark.parametrize(("word", "nearest"), [
    ("optimzer", "optimizer"), ("Epochs", "epochs"), ("l3", "l1"), ("lr", "learning_rate"), ("penalty", "penalize"),
    ("learnng_rate", "learning_rate"), ("optimizer" + "r" * 3, "optimizer")])
def test_the_nearest_name_is_named(word: str, nearest: str) -> None:
    known = ("l1", "l2", "epochs", "penalize", "optimizer", "learning_rate")
    assert did_you_mean(word, known) == f"; did you mean {nearest}?"
    assert did_you_mean(word, iter(known), "--") == f"; did you mean --{nearest}?"


@pytest.mark.parametrize("word", ["", "x", "xyzzy", "lion", "optimizer" * 10**5, "\n"])
def test_where_none_is_near_none_is_named(word: str) -> None:
    assert did_you_mean(word, ("l1", "l2", "epochs", "optimizer")) == ""
    assert did_you_mean(word, ()) == ""
