"""Shared programs: found again, bounded in number."""

from __future__ import annotations

from typing import Any

from reglab.engine.sharing import ProgramCache, found_or_made, shared_programs


def test_the_programs_used_last_are_kept() -> None:
    made: list[str] = []
    kept = ProgramCache(most=2)

    def ask(key: str) -> Any:
        def make() -> Any:
            made.append(key)
            return object()

        return found_or_made(key, make)

    with shared_programs(kept):
        first = ask("a")
        ask("b")
        assert ask("a") is first
        ask("c")  # In place of b, which was not used for longest.
        assert ask("a") is first
        ask("b")
    assert made == ["a", "b", "c", "b"]
    assert len(kept) == 2
    with shared_programs(kept):
        ask("b")
    ask("b")  # Outside, nothing is shared.
    assert made == ["a", "b", "c", "b", "b"]
