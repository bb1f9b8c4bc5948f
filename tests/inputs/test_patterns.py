"""Patterns mean what they mean to `re`, and none takes long."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reglab.inputs.patterns import BadPattern, compile_pattern

NAMES = ("a", "b", "ab", "ba", "aab", "dense_0", "dense_1", "dense_10", "logits", "-", "{", "]", "^a", "0")
TOKENS = ("a", "b", "d", "_", "0", ".", "*", "+", "?", "(", ")", "[", "]", "|", "^", "$", r"\d", r"\W", r"\.", "-",
          "{2}", "{,2}", "{1,}", "{", "}", "(?:", "[^", "dense_", ",")


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(text=st.lists(st.sampled_from(TOKENS), max_size=9).map("".join))
def test_a_pattern_means_what_it_means_to_re(text: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = tuple(name for name in NAMES if re.compile(text).fullmatch(name))
    except re.error:
        with pytest.raises(BadPattern):
            compile_pattern(text)
        return
    if not re.search(r"[*+?}]\+|\(\?(?!:)", text):  # Possessive since Python 3.11; other groups are not supported.
        assert compile_pattern(text).matching(NAMES) == expected


@pytest.mark.parametrize(("text", "matching"), [
    ("dense_[01]", ("dense_0", "dense_1")), ("dense_.*", ("dense_0", "dense_1", "dense_10")), ("^logits$", ("logits",)),
    ("dense_0|logits", ("dense_0", "logits")), (r"dense_\d{2}", ("dense_10",)), ("dense", ()), ("", ()),
    ("(?:dense_)?(0|1)?", ("dense_0", "dense_1", "0")), ("[^d].*s", ("logits",)), ("((.*)*)*x", ())])
def test_patterns_on_names(text: str, matching: tuple[str, ...]) -> None:
    assert compile_pattern(text).matching(NAMES) == matching


@pytest.mark.parametrize(("text", "why"), [
    ("(", "missing )"), (")", "unbalanced"), ("*", "nothing to repeat"), ("a**", "multiple repeat"),
    ("[", "unterminated"), ("[b-a]", "bad character range"), ("\\", "bad escape"), (r"\1", "not supported"),
    ("(?=a)", "groups only"),
    ("a{2,1}", "min repeat"), ("a{99999}", "more than 100 repeats"), ("x" * 201, "201 characters"),
    ("(" * 30 + ")" * 30, "more than 20 groups"), ("((a{90}){90}){90}", "more than 2,000 parts"),
    ("(((){99}){99}){99}", "more than 2,000 parts")])
def test_what_is_refused_says_why(text: str, why: str) -> None:
    with pytest.raises(BadPattern, match=re.escape(why)):
        compile_pattern(text)
