"""`reglab.fit`: trains a run and returns the history that Python users hold."""

from __future__ import annotations

from reglab.config import Config
from reglab.console import Console
from reglab.engine.assembly import Data
from reglab.interactive.history import History
from reglab.run import loop


def fit(config: Config, data: Data | None = None, *, progress: bool = False, console: Console | None = None,
        until: int | None = None) -> History:
    """Does what `reglab.run.loop.fit` does, and returns a history with more to ask it.

    Args:
      config: what to train; `Config()` trains on the digits that come with reglab.
      data: the data to use instead of `config.dataset`: arrays (`reglab.data.from_arrays`), a `reglab.data.Stream`
        whose functions deliver them, or a `Source` of your own.
      progress: whether to show the progress on standard output, in a notebook as one text that changes in place.
      console: shows the progress instead.
      until: the step after which to stop, as a signal would, if that is before the end.

    Raises:
      ConfigError: something in the configuration or the files cannot be used; nothing was written or trained.
      Interrupted: Ctrl-C or SIGTERM arrived, or `until` was reached; the same call continues from there.
      Diverged: the data loss became infinite or NaN, and `on_nonfinite` does not let the run go on.
      RendezvousError, PeerLost: a worker of the cluster did not appear, ended or hung.
      StorageError: the file system refused; the same call continues from the last checkpoint.
    """
    return History.of(loop.fit(config, data, progress=progress, console=console, until=until))
