"""`python -m reglab.train --l1=1e-3 --l2=1e-3`: one run, at a prompt. See `--help`."""

from __future__ import annotations

import contextlib
import json
import os
import sys

from reglab import exit_codes, flags
from reglab.cluster import find_cluster
from reglab.commands import run_command, run_process
from reglab.config import Config
from reglab.preflight import preflight
from reglab.run_directory import check_folder, own_folder, with_default_name

PURPOSE = "Train one network on cross-entropy plus L1 and L2 penalties of its Dense kernels."


def main(argv: list[str]) -> int:
    """Parses the command line, trains, and returns the exit code (see `exit_codes`)."""
    return run_command(_main, argv)


def _main(argv: list[str]) -> int:
    command = flags.parse(argv)
    if command.help:
        print(flags.help_text("reglab.train", PURPOSE))
        return exit_codes.SUCCESS
    return _train(command)


def _train(command: flags.CommandLine) -> int:
    config = command.config
    cluster = find_cluster(config)
    is_chief = cluster is None or cluster.is_chief
    with own_folder(config) if is_chief else contextlib.nullcontext(with_default_name(config)) as config:
        if is_chief:
            check_folder(config)
        code = _train_into(config, command.json)
    if code == exit_codes.PEER_LOST:
        os._exit(code)  # TensorFlow's own exit would wait for the lost worker.
    return code


def _train_into(config: Config, as_json: bool) -> int:
    dataset = preflight(config)
    # TensorFlow is imported only now, so that help, a bad flag and a folder in use are answered at once.
    from reglab.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.cluster import RendezvousError
    from reglab.console import open_console
    from reglab.loop import Diverged, Interrupted, PeerLost, fit

    console = open_console(sys.stderr if as_json else sys.stdout)
    try:
        history = fit(config, dataset, console=console)
    except Interrupted as stop:
        resume = " --resume=auto" if config.resume == "restart" else ""
        print(f"reglab: {stop}; the same command with --model_dir={config.model_dir}{resume} goes on", file=sys.stderr)
        return exit_codes.STOPPED
    except Diverged as error:
        print(f"reglab: {error}", file=sys.stderr)
        return exit_codes.DIVERGED
    except (RendezvousError, PeerLost) as error:
        print(f"reglab: {error}", file=sys.stderr, flush=True)
        return exit_codes.PEER_LOST
    if as_json and history.is_chief:
        print(json.dumps(history.result))
    return exit_codes.SUCCESS


if __name__ == "__main__":
    run_process(main)
