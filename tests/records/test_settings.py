"""In which settings records differ, and how these are shown."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from reglab.records.record import Record
from reglab.records.settings import differing, in_words, spoken, unusual


def record(**settings: Any) -> Record:
    return Record(pathlib.Path("x"), "run", "done", settings=settings)


def test_only_what_differs_is_told_and_a_missing_setting_has_its_default() -> None:
    some = [record(l1=1e-3, hidden=[32], seed=0, dropout=0.5), record(l1=0.0, hidden=[32], seed=0),
            record(l1=0.0, hidden=[32], seed=1, quartic=2.0)]
    names = differing(some)
    assert names == ["dropout", "l1", "seed", "quartic"]
    assert [in_words(one, names) for one in some] == ["dropout=0.5 l1=0.001", "", "seed=1 quartic=2"]
    assert unusual(some) == {"hidden": [32]}
    assert differing([]) == differing(some[:1]) == [] and unusual([]) == {}


@pytest.mark.parametrize(("value", "text"), [
    (None, "-"), (True, "true"), (0.001, "0.001"), (10, "10"), ([128, 64], "128,64"), ([], "none"), ("all", "all"),
    ({"values": [0.0, 1e-3]}, "0 to 0.001 (2 values)"), ({"values": ["all", "hidden"]}, "all; hidden"),
    ("\x1b[31m", r"\x1b[31m"), ({"a": {"b": 1}}, "{'a': {'b': 1}}")])
def test_values_are_shown_as_they_would_be_given(value: Any, text: str) -> None:
    assert spoken(value) == text
    assert len(spoken("x" * 10**6)) <= 60
