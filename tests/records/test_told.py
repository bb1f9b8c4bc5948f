"""Values out of JSON that may hold anything."""

from __future__ import annotations

from reglab.records.told import count_at, list_at, mapping_at, number_at, numbers_at, text_at, texts_at

TOLD = {"a": {"b": [1, None, "x\n", 2.5, True, {"c": -1}]}, "n": float("inf"), "big": 10**400}


def test_what_is_not_of_the_type_is_none() -> None:
    assert number_at(TOLD, "a", "b", 0) == 1.0 and number_at(TOLD, "a", "b", 3) == 2.5
    assert [number_at(TOLD, "a", "b", at) for at in (1, 2, 4, 5, 6)] == [None] * 5
    assert number_at(TOLD, "n") is number_at(TOLD, "big") is number_at(None, "a") is number_at(TOLD, "a", 0) is None
    assert count_at(TOLD, "a", "b", 0) == 1
    assert count_at(TOLD, "a", "b", 4) is count_at(TOLD, "a", "b", 5, "c") is None
    assert text_at(TOLD, "a", "b", 2) == r"x\n" and text_at(TOLD, "a") is None
    assert mapping_at(TOLD, "a", "b") == {} and list_at(TOLD, "a") == []
    assert numbers_at(TOLD, "a", "b") == [1.0, None, None, 2.5, None, None] and numbers_at(TOLD, "a") == []
    assert texts_at(TOLD, "a", "b") == [r"x\n"]
