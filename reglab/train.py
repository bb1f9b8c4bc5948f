"""`python -m reglab.train --l1=1e-3 --l2=1e-3`: one run, at a prompt. See `--help`."""

from __future__ import annotations

import dataclasses
import json
import os
import sys

from reglab import exit_codes, flags
from reglab.commands import run_command
from reglab.preflight import preflight

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
    dataset = preflight(command.config)
    # TensorFlow is imported only now, so that help, a bad flag and a bad file are answered at once.
    from reglab.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.cluster import RendezvousError
    from reglab.console import open_console
    from reglab.loop import Diverged, Interrupted, PeerLost, fit
    from reglab.run_directory import default_model_dir

    config = command.config
    if config.model_dir is None:
        config = dataclasses.replace(config, model_dir=default_model_dir(config))
    console = open_console(sys.stderr if command.json else sys.stdout)
    try:
        history = fit(config, dataset, console=console)
    except Interrupted as stop:
        print(f"reglab: {stop}; the same command with --model_dir={config.model_dir} goes on", file=sys.stderr)
        return exit_codes.STOPPED
    except Diverged as error:
        print(f"reglab: {error}", file=sys.stderr)
        return exit_codes.DIVERGED
    except (RendezvousError, PeerLost) as error:
        print(f"reglab: {error}", file=sys.stderr, flush=True)
        os._exit(exit_codes.PEER_LOST)  # TensorFlow's own exit would wait for the lost worker.
    if command.json and history.is_chief:
        print(json.dumps(history.result))
    return exit_codes.SUCCESS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
