"""Finite automata that read a name and follow all possible paths at once (Thompson 1968)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Final

_MOST_STATES: Final = 2000

Test = Callable[[str], bool]
"""Whether a state accepts a character."""
Build = Callable[[int], int]
"""A part of a pattern: maps the state that follows it to the state that it begins with."""


class BadPattern(ValueError):
    """A pattern cannot be used; the message is a clause that says why."""


@dataclasses.dataclass(frozen=True)
class Pattern:
    """An automaton. State 0 accepts; every other state either reads a character, or passes on without reading one.

    Attributes:
      start: the first state.
      reads: maps a state to (test of the character, next state).
      forks: maps a state to the states that it stands for.
      begins, ends: map a state to the states that it stands for at the beginning, or at the end, of a name.
    """

    start: int
    reads: dict[int, tuple[Test, int]]
    forks: dict[int, tuple[int, ...]]
    begins: dict[int, tuple[int, ...]]
    ends: dict[int, tuple[int, ...]]

    def matching(self, names: Iterable[str]) -> tuple[str, ...]:
        """Returns those of `names`, none of them empty, that match from beginning to end."""
        step = functools.lru_cache(None)(self._step)  # Names of layers share prefixes.

        def matches(name: str) -> bool:
            states = self._closure([self.start], self.forks, self.begins)
            for c in name:
                states = step(states, c)
            return 0 in self._closure(states, self.forks, self.ends)

        return tuple(filter(matches, names))

    def _step(self, states: frozenset[int], c: str) -> frozenset[int]:
        read = (self.reads[state] for state in states if state in self.reads)
        return self._closure([after for test, after in read if test(c)], self.forks)

    def _closure(self, states: Iterable[int], *passes: dict[int, tuple[int, ...]]) -> frozenset[int]:
        seen: set[int] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state not in seen:
                seen.add(state)
                waiting += (after for passing in passes for after in passing.get(state, ()))
        return frozenset(seen)


class Builder:
    """Builds an automaton from its end: each part is given the state that follows it."""

    def __init__(self) -> None:
        self._states = 0
        self._reads: dict[int, tuple[Test, int]] = {}
        self._forks: dict[int, tuple[int, ...]] = {}
        self._begins: dict[int, tuple[int, ...]] = {}
        self._ends: dict[int, tuple[int, ...]] = {}

    def finish(self, build: Build) -> Pattern:
        """Returns the automaton that accepts after this part."""
        return Pattern(build(0), self._reads, self._forks, self._begins, self._ends)

    def read(self, test: Test) -> Build:
        """Matches one character that passes the test."""
        def build(after: int) -> int:
            state = self._new_state()
            self._reads[state] = (test, after)
            return state
        return build

    def edge(self, mark: str) -> Build:
        """Matches no character, but only at the beginning (^) or at the end ($) of a name."""
        return functools.partial(self._pass_on, self._begins if mark == "^" else self._ends)

    def choice(self, choices: list[Build]) -> Build:
        """Matches one of several parts."""
        return lambda after: self._pass_on(self._forks, *(build(after) for build in choices))

    def repeated(self, part: Build, least: int, most: int | None) -> Build:
        """Matches a part at least `least` and at most `most` times; None means no upper bound."""
        def build(after: int) -> int:
            if most is None:
                after = self._loop(part, after)
            for _ in range(0 if most is None else most - least):
                after = self._pass_on(self._forks, part(after), after)
            for _ in range(least):
                after = part(after)
            return after
        return build

    def _loop(self, part: Build, after: int) -> int:
        again = self._new_state()
        self._forks[again] = (part(again), after)
        return again

    def _pass_on(self, passing: dict[int, tuple[int, ...]], *after: int) -> int:
        state = self._new_state()
        passing[state] = after
        return state

    def _new_state(self) -> int:
        self._states += 1
        if self._states > _MOST_STATES:
            raise BadPattern(f"with its repeats written out it has more than {_MOST_STATES:,} parts")
        return self._states
