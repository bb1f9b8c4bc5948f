"""Strengths of penalties as users give them: one number, or one for each named layer. No TensorFlow here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, TypeAlias

from reglab.inputs.numerals import read_float
from reglab.inputs.texts import shown

Strength: TypeAlias = float | str
"""λ: a number, for the layers that `penalize` chooses, or `dense_0=0.001;logits=0.0001`, for these layers only."""

_MOST_LAYERS: Final = 200
_MOST_CHARACTERS: Final = 10_000
_FIX: Final = "give a finite number of at least 0"


def read_strength(text: str) -> Strength:
    """Reads a number, or `layer=number;layer=number`, which is returned in the one form that files use.

    Raises:
      ValueError: the text is neither, names a layer twice, or has an invalid number; the message is a clause.
    """
    return joined(read_layers(text)) if "=" in text else read_float(text)


def read_layers(text: str) -> dict[str, float]:
    """Reads `dense_0=1e-3;logits=1e-4` as a mapping from layer to number.

    Raises:
      ValueError: as for `read_strength`, or a number is negative or not finite.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"it has more than {_MOST_CHARACTERS:,} characters")
    found: dict[str, float] = {}
    for part in text.split(";"):
        layer, equals, number = (piece.strip() for piece in part.partition("="))
        if not layer or not equals:
            raise ValueError(f"'{shown(part.strip(), 60)}' is no layer with its strength such as dense_0=1e-3")
        if layer in found:
            raise ValueError(f"{shown(layer, 60)} is given twice")
        try:
            found[layer] = read_float(number) + 0.0  # -0 becomes 0.
        except ValueError as error:
            raise ValueError(f"{shown(part.strip(), 60)}: {error}") from None
        if not (math.isfinite(found[layer]) and found[layer] >= 0):
            raise ValueError(f"{shown(part.strip(), 60)}: {_FIX}")
        if len(found) > _MOST_LAYERS:
            raise ValueError(f"more than {_MOST_LAYERS} layers are named")
    return found


def joined(layers: Mapping[str, float]) -> str:
    """Writes a mapping from layer to number as one text, from which `read_layers` restores it to the bit."""
    return ";".join(f"{layer}={float(number)!r}" for layer, number in sorted(layers.items()))


def numbers(strength: Strength) -> tuple[float, ...]:
    """Returns the numbers of a strength that has been read."""
    return tuple(read_layers(strength).values()) if isinstance(strength, str) else (strength,)


def weakened(strength: Strength, divisor: float) -> Strength:
    """Returns the strength divided by `divisor` in every layer."""
    if isinstance(strength, str):
        return joined({layer: number / divisor for layer, number in read_layers(strength).items()})
    return strength / divisor


def is_zero(strength: Strength) -> bool:
    """Whether the strength is 0 in every layer."""
    return not any(numbers(strength))


def in_words(strength: Strength) -> str:
    """Returns the strength for people to read: `0.001`, or `0.001 (dense_0), 0.0001 (logits)`."""
    if isinstance(strength, str):
        return ", ".join(f"{number:g} ({layer})" for layer, number in read_layers(strength).items())
    return f"{strength:g}"


def in_names(strength: Strength, digits: str = "g") -> str:
    """Returns the strength for names of folders: `0.001`, or `by-layer`."""
    return "by-layer" if isinstance(strength, str) else f"{strength:{digits}}"
