"""`python -m reglab.train --l1=1e-3 --l2=1e-3`: trains one network. See `--help`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Final

from reglab.cli.commands import Command, run_process
from reglab.cli.dry_run import DRY_RUN, data_here, show_plan
from reglab.cli.flags import CommandLine
from reglab.cli.preflight import preflight
from reglab.cluster import Cluster, find_cluster
from reglab.cluster.alone import check_alone
from reglab.config import Config
from reglab.core import penalties
from reglab.inputs import exit_codes
from reglab.inputs.exit_codes import advising
from reglab.run.folder_names import own_folder, with_default_name
from reglab.run.run_directory import check_folder


def purpose() -> str:
    """Returns what the command does, in a sentence."""
    *titles, last = (penalty.title for penalty in penalties.registered())
    return f"Train one network on cross-entropy plus {', '.join(titles)} and {last} penalties of its Dense kernels."


def _train(given: CommandLine) -> int:
    config = given.config
    check_alone(config, os.environ)
    cluster = find_cluster(config)
    is_chief = cluster is None or cluster.is_chief
    if given.values["dry_run"]:
        return _plan(with_default_name(config), cluster, given.json) if is_chief else exit_codes.SUCCESS
    with own_folder(config) if is_chief else contextlib.nullcontext(with_default_name(config)) as config:
        if is_chief:
            check_folder(config)
        return _train_into(config, given.json)


def _plan(config: Config, cluster: Cluster | None, as_json: bool) -> int:
    check_folder(config)
    dataset = data_here(config)
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.run.plan import plan_run

    return show_plan(*plan_run(config, dataset, cluster), as_json)


def _train_into(config: Config, as_json: bool) -> int:
    dataset = preflight(config)
    # TensorFlow is imported only now, so that help, a bad flag and a folder in use are answered at once.
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.console import open_console
    from reglab.run.loop import Interrupted, fit

    console = open_console(sys.stderr if as_json else sys.stdout)
    resume = " --resume=auto" if config.resume == "restart" else ""
    with advising(f"the same command with --model_dir={config.model_dir}{resume} goes on", Interrupted):
        history = fit(config, dataset, console=console)
    if as_json and history.is_chief:
        print(json.dumps(history.result))
    return exit_codes.SUCCESS


main: Final = Command("reglab.train", purpose, _train, DRY_RUN, together=True).main

if __name__ == "__main__":
    run_process(main)
