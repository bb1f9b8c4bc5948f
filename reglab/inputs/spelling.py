"""How a message spells what the user gave: as flags, `--l1=-1 --jit=false`, or as arguments, `l1=-1 jit=False`.

Messages are written with flags, since they say most about them. Who prints a message decides: a command leaves it as it
is, and in Python, where there are no flags, it speaks of arguments.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Final

_FLAG: Final = re.compile(r"(?<![\w./-])--([a-z]\w*)(?:=(true|false)\b)?")
_commands = 0


@contextlib.contextmanager
def spelled_as_flags() -> Iterator[None]:
    """Within the block messages name flags. Every command runs in one."""
    global _commands
    _commands += 1
    try:
        yield
    finally:
        _commands -= 1


def spelled(message: str) -> str:
    """Returns a message that names flags in the words of the user."""
    return message if _commands else _FLAG.sub(_argument, message)


def _argument(flag: re.Match[str]) -> str:
    name, truth = flag.groups()
    return name if truth is None else f"{name}={truth.capitalize()}"
