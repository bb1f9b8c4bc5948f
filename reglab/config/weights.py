"""Weights of classes as users give them: `balanced`, or one for each named class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from reglab.inputs.numerals import read_float
from reglab.inputs.texts import shown

ClassWeights: TypeAlias = str
"""`balanced`, or `benign=1.0,malignant=2.0`."""
BALANCED: Final = "balanced"
_MOST_CHARACTERS: Final = 100_000
_FIX: Final = "give balanced, or a positive number for each class such as benign=1,malignant=2"


def read_weights(text: str) -> dict[str, float]:
    """Reads `benign=1,malignant=2` as a mapping from class to weight. A class may have = in its name, but no comma.

    Raises:
      ValueError: it is something else, names a class twice, or a weight is no positive finite number; the message is a
        clause.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"it has more than {_MOST_CHARACTERS:,} characters")
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.rpartition("="))
        if not name or not equals:
            raise ValueError(f"'{shown(part.strip(), 60)}' is no class with its weight: {_FIX}")
        if name in found:
            raise ValueError(f"{shown(name, 60)} is given twice")
        try:
            found[name] = read_float(number)
        except ValueError as error:
            raise ValueError(f"{shown(part.strip(), 60)}: {error}") from None
        if not (math.isfinite(found[name]) and found[name] > 0):
            raise ValueError(f"{shown(part.strip(), 60)}: {_FIX}")
    return found


def joined(weights: Mapping[Any, Any]) -> str:
    """Writes a mapping from class to weight as one text, from which `read_weights` restores it to the bit.

    Raises:
      ValueError: a name has a comma, or what `read_weights` refuses; the message is a clause.
    """
    names = [str(name) for name in weights]
    if any("," in name for name in names):
        raise ValueError("a class whose name has a comma cannot be given a weight: give balanced, or rename it")
    if not all(type(weight) in (int, float) for weight in weights.values()):
        raise ValueError(_FIX)
    text = ",".join(f"{name}={float(weight)!r}" for name, weight in sorted(zip(names, weights.values(), strict=True)))
    read_weights(text)
    return text
