"""What a user gave, as part of a message: always on one line, always of bounded length, without control characters."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from typing import Final

MOST_SHOWN: Final = 160
"""Characters of a value in a message."""
MOST_IN_LINE: Final = 500
"""Characters of a message."""
_MOST_ITEMS: Final = 40
_MOST_NESTED: Final = 2
_MOST_COMPARED: Final = 40
_LIKE: Final = 0.6  # As in `difflib.get_close_matches`.
_LIKE_WHERE_SHORT: Final = 0.5  # One letter of two.


def shown(value: object, most: int = MOST_SHOWN, *, nested: int = 0) -> str:
    """A value as messages quote it: itself, or its ends where it is long; control characters are escaped.

    Lists and tuples are shown as on the command line, with commas. Never raises, whatever the value.

    Args:
      most: how many characters.
      nested: how many lists the value is within.
    """
    if isinstance(value, str):
        return _shortened(value, most)
    if isinstance(value, list | tuple):
        if nested >= _MOST_NESTED:
            return "..."
        items = ",".join(shown(item, most, nested=nested + 1) for item in value[:_MOST_ITEMS])
        note = f"... ({len(value):,} values)"
        is_whole = len(value) <= _MOST_ITEMS and len(items) <= most
        return items if is_whole else items[:most - len(note)] + note
    if isinstance(value, int) and value.bit_length() > 10_000:  # Python refuses to write out more than 4,300 digits.
        return f"(a whole number of some {int(value.bit_length() * 0.30103):,} digits)"
    try:
        text = str(value) if value is None or isinstance(value, int | float) else _LIMITED.repr(value)
    except Exception:  # Whatever a foreign __repr__ raises.
        text = f"<{type(value).__name__}>"
    return _shortened(text, most)


def one_line(text: object, most: int = MOST_IN_LINE) -> str:
    """A message on one line of bounded length: the middle is left out, as the end says what to do.

    An exception stands for what it says, or for its type where it says nothing.
    """
    try:
        line = str(text)
    except Exception:
        line = ""
    line = _middle_cut(line or type(text).__name__, most)
    if line.isprintable():
        return line
    return _middle_cut(_escaped(" ".join(line.split())), most)


def did_you_mean(word: str, known: Iterable[str], mark: str = "") -> str:
    """The end of a refusal: `; did you mean train?`, of the known name that is nearest; empty where none is near.

    The initials of a name are near: `lr` is `learning_rate`. Among equals the first counts.

    Args:
      mark: what stands before a name, such as --.
    """
    from difflib import SequenceMatcher  # It takes a while to import, and only a refusal needs it.

    word, known = word[:_MOST_COMPARED].lower(), list(known)
    near = [name for name in known if len(word) > 1 and word == "".join(part[:1] for part in name.split("_"))]
    if not near and word:
        matcher = SequenceMatcher(b=word)
        likeness = {}
        for name in known:
            matcher.set_seq1(name)
            likeness[name] = matcher.ratio()
        near = sorted(known, key=lambda name: -likeness[name])[:1]
        if likeness and likeness[near[0]] < (_LIKE if len(word) > 2 else _LIKE_WHERE_SHORT):
            return ""
    return f"; did you mean {mark}{near[0]}?" if near else ""


def _middle_cut(text: str, most: int) -> str:
    tail = most * 2 // 5
    return text if len(text) <= most else f"{text[:most - tail - 5]} ... {text[-tail:]}"


def _shortened(text: str, most: int) -> str:
    note, escaped = f" ({len(text):,} characters)", ""
    if len(text) <= most:
        escaped = _escaped(text)
        if len(escaped) <= most:
            return escaped
    left = max(most - len(note) - 3, 8)
    head, tail = left * 2 // 3, left // 3
    if not escaped:
        escaped = _escaped(text[:left] + text[-left:])
    return f"{escaped[:head]}...{escaped[-tail:]}{note}"


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


_LIMITED: Final = reprlib.Repr()
_LIMITED.maxlevel = 3
_LIMITED.maxother = _LIMITED.maxstring = MOST_SHOWN
