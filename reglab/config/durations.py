"""Durations as users give them: `90s`, `10m`, `1h`, `2d`, several of them as in `1h30m`, or seconds. No TensorFlow."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from reglab.inputs.numerals import read_float

Duration: TypeAlias = float
"""Seconds. `Config` and the command line also take a text such as `10m` for them."""

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def read_duration(text: str) -> float:
    """Returns the seconds of a text.

    Raises:
      ValueError: it is no duration; the message is a clause.
    """
    parts = re.findall(r"([0-9.]+)([smhd])", text.strip().lower()) if len(text) < 100 else []
    if not parts or "".join(map("".join, parts)) != text.strip().lower():
        return read_float(text)
    return sum(read_float(number) * _SECONDS[unit] for number, unit in parts)


def told(seconds: Duration) -> str:
    """Returns seconds in the largest units that leave no fraction: `600` as `10m`, `5400` as `1h30m`."""
    if seconds != int(seconds):
        return f"{seconds:g}s"
    left, text = int(seconds), ""
    for unit, size in reversed(_SECONDS.items()):
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
