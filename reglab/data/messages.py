"""Texts of errors."""

from __future__ import annotations


def one_line(error: Exception) -> str:
    """What a library says of an error, on one line; its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
