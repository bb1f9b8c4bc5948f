"""User input quoted in messages: always on one line, always of bounded length, without control characters."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable
from typing import Final

MOST_SHOWN: Final = 160
"""The largest number of characters of a value in a message."""
MOST_IN_LINE: Final = 500
"""The largest number of characters in a message."""
_MOST_ITEMS: Final = 40
_MOST_NESTED: Final = 2
_MOST_COMPARED: Final = 40
_LIKE: Final = 0.6  # As in `difflib.get_close_matches`.
_DIGITS: Final = {"one": "1", "two": "2"}
_LIKE_WHERE_SHORT: Final = 0.5  # One letter of two agrees.


def shown(value: object, most: int = MOST_SHOWN, *, nested: int = 0) -> str:
    """Returns a value as messages quote it, with control characters escaped and the middle of a long text left out.

    Lists and tuples are shown as on the command line, separated by commas. Never raises, whatever the value.

    Args:
      most: the largest number of characters.
      nested: how many lists contain the value.
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
    if isinstance(value, int) and value.bit_length() > 10_000:  # Python refuses to print more than 4,300 digits.
        return f"(a whole number of some {int(value.bit_length() * 0.30103):,} digits)"
    try:
        text = str(value) if value is None or isinstance(value, int | float) else _LIMITED.repr(value)
    except Exception:  # The value's own __repr__ may raise anything.
        text = f"<{type(value).__name__}>"
    return _shortened(text, most)


def one_line(text: object, most: int = MOST_IN_LINE) -> str:
    """Returns a message on one line of bounded length; the middle is cut, since the end says what to do.

    For an exception, the message is its text, or the name of its type if it has none.
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
    """Returns the end of a refusal, `; did you mean train?`, with the closest known name; "" if none is close.

    The initials of a name are close to it: `lr` is `learning_rate`. In a tie the first name wins.

    Args:
      mark: the prefix of names, such as --.
    """
    from difflib import SequenceMatcher  # Slow to import, and only needed for a refusal.

    word, known = word[:_MOST_COMPARED].lower(), list(known)
    for spelled, digit in _DIGITS.items():  # As in lone and l_two.
        word = re.sub(f"^([a-z])_?{spelled}$", rf"\g<1>{digit}", word)
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
