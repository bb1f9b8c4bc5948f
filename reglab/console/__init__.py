"""Everything a person sees while a run is in progress. Nothing here imports TensorFlow.

`open_console(stream)` returns the console that suits a stream; `Console` itself prints nothing.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from reglab.console.base import Console
from reglab.console.notebook import NotebookConsole, notebook_display
from reglab.console.plain import PlainConsole
from reglab.console.table import EpochRow

__all__ = ["Console", "EpochRow", "console_for", "open_console"]


def console_for(console: Console | None, progress: bool) -> Console:
    """Returns what shows the progress of a call from Python: `console`, or one on standard output, or a silent one."""
    if console is not None or not progress:
        return console or Console()
    show = notebook_display()
    return open_console(sys.stdout) if show is None else NotebookConsole(show)


def open_console(stream: TextIO | None) -> Console:
    """Returns a live console for a terminal, plain lines for a pipe, a file or `TERM=dumb`, silence if it is closed."""
    if stream is None or stream.closed:
        return Console()
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return PlainConsole(stream)
    from reglab.console.terminal import TerminalConsole  # rich is slow to import, and only needed here.

    return TerminalConsole(stream)
