"""What every command does around its work: bad input and Ctrl-C become one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable

from reglab import exit_codes
from reglab.config import ConfigError
from reglab.files import StorageError, refusal
from reglab.texts import one_line


def run_command(command: Callable[[list[str]], int], argv: list[str]) -> int:
    """The exit code of `command(argv)`, which may raise `ConfigError` or be interrupted (see `exit_codes`)."""
    try:
        return command(argv)
    except ConfigError as error:
        print(f"reglab: {error}", file=sys.stderr)
        return exit_codes.BAD_INPUT
    except StorageError as error:
        print(f"reglab: {one_line(error)}", file=sys.stderr)
        return exit_codes.STORAGE_FAILED
    except OSError as error:  # Whatever nobody has named before: still no traceback.
        print(f"reglab: {one_line(refusal(error.filename or 'a file', error))}", file=sys.stderr)
        return exit_codes.STORAGE_FAILED
    except KeyboardInterrupt:  # Before the work began, or a second Ctrl-C.
        print("reglab: interrupted, nothing more was saved", file=sys.stderr)
        return exit_codes.INTERRUPTED
