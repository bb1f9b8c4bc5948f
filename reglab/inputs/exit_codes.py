"""How commands end: the exit codes, and the errors that carry one. No other place maps an error to a code.

The codes are part of the interface, so schedulers and scripts may rely on them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from reglab.inputs.texts import one_line

SUCCESS: Final = 0
BAD_INPUT: Final = 2  # A flag, file or combination cannot be used; nothing was trained.
DIVERGED: Final = 3  # The loss became infinite or NaN.
VERDICT_FAILED: Final = 4  # All ran well, but a check failed: `compare --preset`, `certify`, `export`.
STORAGE_FAILED: Final = 74  # The file system refused in the middle of the work (EX_IOERR of sysexits.h).
PEER_LOST: Final = 69  # Another worker of the cluster never came, ended or hung (EX_UNAVAILABLE of sysexits.h).
INTERRUPTED: Final = 130  # A second Ctrl-C: nothing more was saved (128 + SIGINT).
STOPPED: Final = 75  # A signal: all is saved or nothing was yet, the same command goes on (EX_TEMPFAIL of sysexits.h).


class Ending(BaseException):
    """An error that ends a command with one line on standard error. Its kinds derive from a built-in exception too.

    Attributes:
      exit_code: the command's.
      advice: what a user can do then, as a clause, where the message does not say so: see `advising`.
    """

    exit_code: int
    advice: str = ""

    @property
    def line(self) -> str:
        """What the command says, without its name."""
        return f"{one_line(self)}; {self.advice}" if self.advice else one_line(self)


@contextlib.contextmanager
def advising(advice: str, *kinds: type[Ending]) -> Iterator[None]:
    """Gives the errors of these kinds that leave the block their advice, which only the command knows.

    Args:
      advice: such as "the same command goes on".
    """
    try:
        yield
    except kinds as ending:
        ending.advice = advice
        raise
