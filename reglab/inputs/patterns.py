"""Patterns for layer names: true regular expressions, matched in time linear in the length of the name.

Python's `re` tries one path after another, and may take years for a short pattern such as ((.*)*)*x. Here a pattern
becomes an automaton that follows all paths at once (`automaton.py`). What an automaton cannot do, back-references and
lookarounds, is refused; everything else means what it means to `re.fullmatch`.
"""

from __future__ import annotations

import functools
import string
from typing import Final, NoReturn

from reglab.inputs.automaton import BadPattern, Build, Builder, Pattern, Test

__all__ = ["MOST_CHARACTERS", "BadPattern", "compile_pattern"]

MOST_CHARACTERS: Final = 200
_MOST_REPEATS: Final = 100
_MOST_NESTED: Final = 20
_CLASSES: Final = {"d": frozenset(string.digits), "s": frozenset(" \t\n\r\f\v"),
                   "w": frozenset(string.ascii_letters + string.digits + "_")}


@functools.lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern:
    """Compiles a pattern.

    Raises:
      BadPattern: it is not a valid pattern, is too long, or uses something that is not supported.
    """
    if len(text) > MOST_CHARACTERS:
        raise BadPattern(f"it has {len(text):,} characters, and at most {MOST_CHARACTERS} are taken")
    return _Parser(text).pattern()


class _Parser:
    """A recursive-descent parser. Parts are functions, so that a repeated part can be built several times."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._builder = Builder()

    def pattern(self) -> Pattern:
        build = self._choice()
        if self._at < len(self._text):
            self._fail("unbalanced parenthesis")
        return self._builder.finish(build)

    def _choice(self) -> Build:
        """Parses one or more sequences separated by |."""
        choices = [self._sequence()]
        while self._take("|"):
            choices.append(self._sequence())
        return self._builder.choice(choices)

    def _sequence(self) -> Build:
        parts: list[Build] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._edge() or self._repeated(self._atom()))

        def build(after: int) -> int:
            for part in reversed(parts):
                after = part(after)
            return after
        return build

    def _edge(self) -> Build | None:
        """Parses ^ or $; returns None if neither comes next."""
        for mark in ("^", "$"):
            if self._take(mark):
                if self._peek() in ("*", "+", "?") or self._counted() is not None:
                    self._fail("nothing to repeat")
                return self._builder.edge(mark)
        return None

    def _repeated(self, part: Build) -> Build:
        """Parses what may follow an atom: *, +, ? or {m,n}, then a ?, which only tells `re` which way to try first."""
        bounds = self._bounds()
        if bounds is None:
            return part
        least, most = bounds
        self._take("?")
        if self._peek() in ("*", "+", "?") or self._counted() is not None:
            self._fail("multiple repeat")
        return self._builder.repeated(part, least, most)

    def _bounds(self) -> tuple[int, int | None] | None:
        """Parses how often the preceding atom must and may occur; returns None if it is not repeated."""
        known: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if self._peek() in known:
            return known[self._next()]
        counted = self._counted()
        if counted is None:
            return None
        self._at, least, most = counted
        if max(least, most or 0) > _MOST_REPEATS:
            self._fail(f"more than {_MOST_REPEATS} repeats")
        if most is not None and most < least:
            self._fail("min repeat greater than max repeat")
        return least, most

    def _counted(self) -> tuple[int, int, int | None] | None:
        """Returns the end and the bounds of {m}, {m,}, {,n} or {m,n}; None if something else comes next."""
        end = self._text.find("}", self._at)
        if self._peek() != "{" or end < 0:
            return None
        low, comma, high = self._text[self._at + 1:end].partition(",")
        if not (low or comma) or not _CLASSES["d"].issuperset(low + high):
            return None
        least = int(low or 0)
        return end + 1, least, least if not comma else int(high) if high else None

    def _atom(self) -> Build:
        if self._peek() in ("*", "+", "?") or self._counted() is not None:
            self._fail("nothing to repeat")
        c = self._next()
        if c == "(":
            return self._group()
        if c == "[":
            return self._builder.read(self._set())
        if c == ".":
            return self._builder.read(lambda other: other != "\n")
        return self._builder.read(self._escaped()[0] if c == "\\" else c.__eq__)

    def _group(self) -> Build:
        if self._take("?") and not self._take(":"):
            self._fail("of groups only (...) and (?:...) are supported")
        self._depth += 1
        if self._depth > _MOST_NESTED:
            self._fail(f"more than {_MOST_NESTED} groups within each other")
        build = self._choice()
        self._depth -= 1
        if not self._take(")"):
            self._fail("missing ), unterminated subpattern")
        return build

    def _set(self) -> Test:
        """Parses the contents of brackets: characters, ranges and classes."""
        negated, tests = self._take("^"), [self._member()]
        while not self._take("]"):
            tests.append(self._member())
        return lambda c: any(test(c) for test in tests) != negated

    def _member(self) -> Test:
        test, low = self._member_alone()
        if self._peek() != "-" or self._text[self._at + 1:self._at + 2] in ("]", ""):
            return test
        self._next()
        _, high = self._member_alone()
        if not low or not high or high < low:
            self._fail("bad character range")
        return lambda c: low <= c <= high

    def _member_alone(self) -> tuple[Test, str]:
        c = self._next("unterminated character set")
        return self._escaped() if c == "\\" else (c.__eq__, c)

    def _escaped(self) -> tuple[Test, str]:
        """Parses what follows a backslash: a class, or a character that stands for itself."""
        c = self._next("bad escape (end of pattern)")
        members = _CLASSES.get(c.lower())
        if members is not None:
            return (lambda other: (other in members) == c.islower()), ""
        if c.isascii() and c.isalnum():
            self._fail(rf"\{c} is not supported")
        return c.__eq__, c

    def _peek(self) -> str:
        return self._text[self._at:self._at + 1]

    def _take(self, text: str) -> bool:
        taken = self._text.startswith(text, self._at)
        self._at += len(text) * taken
        return taken

    def _next(self, otherwise: str = "unexpected end of pattern") -> str:
        c = self._peek()
        if not c:
            self._fail(otherwise)
        self._at += 1
        return c

    def _fail(self, what: str) -> NoReturn:
        raise BadPattern(f"{what} at position {self._at}")
