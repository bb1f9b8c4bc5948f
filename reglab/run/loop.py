"""`fit`: the loop around the compiled loop. It calls that, evaluates, logs and saves; it computes nothing itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import cast

from reglab.cluster import Cluster, find_cluster
from reglab.config import Config, ConfigError
from reglab.config.checks import require
from reglab.console import Console, console_for
from reglab.core.step import State
from reglab.data import DataFacts
from reglab.engine.assembly import (
    Data,
    check_fit,
    load_dataset,
    make_training,
    source_of,
)
from reglab.engine.placement import place_run
from reglab.engine.startup import start_devices
from reglab.inputs.texts import shown
from reglab.run.divergence import Diverged
from reglab.run.ended import noting_end
from reglab.run.folder_journal import open_journal
from reglab.run.journal import Journal
from reglab.run.one_run import OneRun
from reglab.run.outcome import History, Interrupted, PeerLost, peers_needed
from reglab.run.plateau import PLATEAU
from reglab.run.run_directory import RunDirectory
from reglab.signals.stop import stop_request
from reglab.storage.files import StorageError, closing_after, refusal
from reglab.storage.ownership import owning


def fit(config: Config, data: Data | None = None, *, progress: bool = False, console: Console | None = None,
        until: int | None = None) -> History:
    """Trains one network as `config` says, starting from the state in its `model_dir`, if there is one.

    Args:
      data: the data to use instead of `config.dataset`: arrays (`reglab.data.from_arrays`), a `reglab.data.Stream`
        whose functions deliver them, or a `Source` of your own.
      progress: whether to show the progress on standard output, in a notebook on one line.
      console: shows the progress instead.
      until: the step after which to stop, as a signal would, if that is before the end.

    Raises:
      ConfigError: something in the configuration or the files cannot be used; nothing was written or trained.
      Interrupted: SIGINT or SIGTERM arrived, or `until` was reached; the same call continues from there.
      EarlyStop: a signal arrived while the workers of a cluster gathered, before there was anything to save.
      Diverged: the data loss became infinite or NaN, and `on_nonfinite` does not let the run go on.
      RendezvousError: a worker of the cluster did not appear.
      PeerLost: a worker of the cluster ended or hung.
      StorageError: the file system refused; the same call continues from the last checkpoint.
    """
    if config.on_nonfinite == "restore" and config.model_dir is None:
        raise ConfigError("--on_nonfinite=restore goes back to checkpoints, and there are none without a model_dir: "
                          "name a folder, or give --on_nonfinite=skip")
    if config.profile is not None and config.model_dir is None:
        raise ConfigError(f"--profile={config.profile} writes into the run's folder: name a model_dir, or leave it out")
    cluster = find_cluster(config)
    is_chief = cluster is None or cluster.is_chief
    console = console_for(console, progress) if is_chief else Console()
    start_devices(config.compile_cache, console.warning)
    if config.model_dir is None or not is_chief:
        return _fit(config, data, None, console, cluster, until)
    with owning(config.model_dir):
        return _fit(config, data, RunDirectory(config), console, cluster, until)


def _fit(config: Config, data: Data | None, directory: RunDirectory | None, console: Console,
         cluster: Cluster | None, until: int | None) -> History:
    source = source_of(config, load_dataset(config) if data is None else data)
    _check_validation(config, source.about)
    if directory is not None:
        directory.bind(source.about.facts)
    check_fit(config, source.about)  # Before other workers are kept waiting.
    try:
        with peers_needed(cluster), stop_request() as stop:  # Until the journal is closed and everything is on disk.
            training = make_training(config, source, place_run(config, cluster, stop))
            run = OneRun(config, training, console, until)
            with (noting_end(directory), contextlib.closing(run.profiling),
                  _closing(open_journal(config, directory, cast(State, run.state), console.warning, run.is_due,
                                        run.rhythm)) as journal):
                return run.fit(journal, stop)
    finally:
        console.finish()


def _check_validation(config: Config, data: DataFacts) -> None:
    """Checks that there are validation examples, if any choice is made by them.

    Raises:
      ConfigError: there are none.
    """
    choices = {"model_dir": config.model_dir is not None, "patience": config.patience is not None}
    for name, chooses in choices.items():
        require(not chooses or bool(data.sizes["validation"]), name, getattr(config, name),
                f"{shown(data.name, 60)} has no validation examples to go by: hold some out with "
                "--validation_split, or leave it out")
    require(config.schedule != PLATEAU or bool(data.sizes["validation"]), "schedule", config.schedule,
            f"{shown(data.name, 60)} has no validation examples, whose loss decides when the rate falls: hold some out "
            "with --validation_split, or choose another schedule")


@contextlib.contextmanager
def _closing(journal: Journal) -> Iterator[Journal]:
    """Closes the journal at the end. If the file system refuses, its first error becomes a `StorageError`."""
    try:
        with closing_after(journal.close):
            yield journal
    except OSError as error:  # About a file that the journal has not named.
        raise StorageError(refusal(error.filename or "a file", error)) from error


__all__ = ["ConfigError", "Diverged", "History", "Interrupted", "PeerLost", "fit", "peers_needed"]
