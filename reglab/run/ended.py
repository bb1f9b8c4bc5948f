"""Notes in `run.json` how a run ended before it was complete, for whoever looks at its folder later."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from reglab.run.divergence import Diverged
from reglab.run.outcome import Interrupted
from reglab.run.run_directory import RunDirectory
from reglab.storage.files import StorageError


@contextlib.contextmanager
def noting_end(directory: RunDirectory | None) -> Iterator[None]:
    """Notes that the block was stopped or diverged: how, after which step, and in words. `create` takes it away."""
    try:
        yield
    except (Diverged, Interrupted) as ending:
        if directory is not None:
            how = "diverged" if isinstance(ending, Diverged) else "stopped"
            with contextlib.suppress(StorageError):  # What ended the run is the news, and it is told anyway.
                directory.note(ended={"how": how, "step": ending.step, "line": ending.line})
        raise
