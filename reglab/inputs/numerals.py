"""Numbers as users write them, and the range that each precision can hold."""

from __future__ import annotations

import math
import re
import struct
import sys
from typing import Final

_MOST_DIGITS: Final = 400
_HOLDS: Final = {"float32": (1.1754943508222875e-38, 3.4028234663852886e38),
                 "float64": (sys.float_info.min, sys.float_info.max)}
"""The smallest and the largest positive number with full precision; processors may flush smaller ones to 0."""


def read_integer(text: str) -> int:
    """Parses an integer: decimal, hexadecimal (0x) or octal (0o).

    Raises:
      ValueError: it is not an integer, or has more than 400 characters; the message is a clause.
    """
    if len(text.strip()) > _MOST_DIGITS:  # Python itself refuses more than 4,300 digits, with a hint for developers.
        raise ValueError(f"it has {len(text.strip()):,} characters, more than any number reglab takes")
    base = {"0x": 16, "0o": 8}.get(text.strip()[:2].lower(), 10)
    try:
        return int(text, base)
    except ValueError:
        raise ValueError("it is no whole number") from None


def read_float(text: str) -> float:
    """Parses a number; inf and nan are accepted, and left to callers to refuse.

    Raises:
      ValueError: it is not a number, has more than 400 characters, or float64 would make it infinite or 0; the message
        is a clause.
    """
    if len(text.strip()) > _MOST_DIGITS:
        raise ValueError(f"it has {len(text.strip()):,} characters, more than any number reglab takes")
    try:
        value = float(text)
    except ValueError:
        raise ValueError("it is no number") from None
    if math.isinf(value) and "n" not in text.lower():
        raise ValueError("it is beyond the largest float64, 1.8e+308")
    if value == 0 and re.search("[^0.+_-]", re.split("[eE]", text.strip())[0]):
        raise ValueError("float64 would make it 0: it is nearer to 0 than 4.9e-324")
    return value


def beyond(value: float, precision: str) -> str | None:
    """Returns why a finite number cannot be used in a precision, as a clause; None if it can.

    Subnormal numbers are refused: they have fewer digits, and XLA treats them as 0.
    """
    dtype = "float64" if precision == "float64" else "float32"
    least, largest = _HOLDS[dtype]
    more = "" if dtype == "float64" else ", or --precision=float64"
    if abs(value) > largest:
        return f"it is beyond the largest {dtype}, {largest:.2g}: give a smaller number{more}"
    if 0 < abs(value) < least:
        return f"{dtype} would make it 0 or lose its digits, as it is below {least:.2g}: give 0, a larger number{more}"
    return None


def rounded(value: float, precision: str) -> float:
    """Rounds a number within the range of a precision to the nearest number that it can hold."""
    return value if precision == "float64" else float(struct.unpack("f", struct.pack("f", value))[0])


