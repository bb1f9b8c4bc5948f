"""How commands end: the exit codes, and the errors that carry one. No other place maps errors to codes.

The codes are part of the interface; schedulers and scripts may rely on them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from reglab.inputs.spelling import spelled
from reglab.inputs.texts import one_line

SUCCESS: Final = 0
BAD_INPUT: Final = 2  # A flag, file or combination cannot be used; nothing was trained.
DIVERGED: Final = 3  # The loss became infinite or NaN.
VERDICT_FAILED: Final = 4  # Everything ran, but a check failed: `compare --preset`, `certify`, `export`.
STORAGE_FAILED: Final = 74  # The file system refused while work was in progress (EX_IOERR of sysexits.h).
PEER_LOST: Final = 69  # Another worker of the cluster never came, ended or hung (EX_UNAVAILABLE of sysexits.h).
INTERRUPTED: Final = 130  # A second Ctrl-C: nothing more was saved (128 + SIGINT).
STOPPED: Final = 75  # A signal: everything there was is saved; the same command goes on (EX_TEMPFAIL of sysexits.h).


class Ending(BaseException):
    """An error that ends a command with one line on standard error. Subclasses also derive from a built-in exception.

    Attributes:
      exit_code: the exit code of the command.
      advice: a clause that says what the user can do, where the message does not: see `advising`.
    """

    exit_code: int
    advice: str = ""

    def __str__(self) -> str:
        """The message, which speaks of flags in a command and of arguments in Python."""
        return spelled(super().__str__())

    @property
    def line(self) -> str:
        """The line that the command prints, without its name."""
        return f"{one_line(self)}; {self.advice}" if self.advice else one_line(self)


@contextlib.contextmanager
def advising(advice: str, *kinds: type[Ending]) -> Iterator[None]:
    """Adds advice, which only the command knows, to errors of these kinds that leave the block.

    Args:
      advice: a clause such as "the same command goes on".
    """
    try:
        yield
    except kinds as ending:
        ending.advice = advice
        raise
