"""`python -m reglab.launch --workers=2 -- <flags of reglab.train>`: a cluster on this machine. See `--help`."""

from __future__ import annotations

import contextlib
import random
import socket
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any, Final

from absl import flags

from reglab.cli.arguments import Arguments, UnknownFlag
from reglab.cli.commands import run_command, run_process
from reglab.cli.completion import Offer, Offers
from reglab.cluster import Cluster
from reglab.cluster.alone import is_the_one
from reglab.config import ConfigError
from reglab.inputs import exit_codes
from reglab.inputs.texts import did_you_mean, shown
from reglab.signals.processes import ProcessGroup

USAGE: Final = """\
usage: python -m reglab.launch [--workers=2] [--module=reglab.train] [--grace=5] -- [flags of the module]

Starts workers on this machine that train together, to try out what a cluster would do. Each gets a free loopback port,
TF_CONFIG and the flags after the --. What they print comes out line by line, marked [0], [1] and so on. With --json
among their flags the chief's standard output comes out unmarked and alone, as one JSON object.

Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 are passed on to all workers, which save and stop; a second Ctrl-C ends
them at once. When a worker fails, the others are
ended too. The exit code is that of the first to fail, and 128 + the signal's number if a signal killed it.

--workers  How many to start. (default: 2)
--module   What each runs, as python -m does. (default: reglab.train)
--grace    Seconds that the others have, when one has failed, to end before they are killed. (default: 5)
--help     Show this help.
--version  Show the version."""

OFFERS: Final = Offers(("--",), {
    "workers": Offer("How many to start."), "grace": Offer("Seconds that the others have to end."),
    "module": Offer("What each runs.", choices=("reglab.train", "reglab.certify")),
    "help": Offer("Show this help.", False), "version": Offer("Show the version.", False)})

# Below the ports that Linux uses for outgoing connections, which could take a port before its worker opens it.
_PORTS: Final = range(20_000, 32_000)
MOST_WORKERS: Final = 256
_MOST_GRACE: Final = 10**6


def main(argv: list[str]) -> int:
    """Parses the command line, runs the workers, and returns the exit code of the first that failed."""
    return run_command(_main, argv)


def _main(argv: list[str]) -> int:
    split = argv.index("--") if "--" in argv else len(argv)
    values = _parse(argv[:split])
    if values.help:
        print(USAGE)
        return exit_codes.SUCCESS
    if not is_the_one("reglab.launch"):
        return exit_codes.SUCCESS
    return launch(values.module, argv[split + 1:], values.workers, values.grace)


def launch(module: str, arguments: Sequence[str], workers: int, grace: float = 5.0) -> int:
    """Runs `python -m module arguments` as each worker of a cluster on this machine, and waits for them all.

    Args:
      workers: the number of workers.
      grace: seconds between SIGTERM and SIGKILL for the others when one has failed.

    Returns:
      The exit code of the first worker that failed, or 0.

    Raises:
      ConfigError: there are not enough free ports.
    """
    addresses = tuple(f"127.0.0.1:{port}" for port in _free_ports(workers))
    # Unbuffered, so that a line appears when it is written and not when the pipe's buffer is full.
    environments = [{"TF_CONFIG": Cluster(addresses, i, "TF_CONFIG").tf_config(), "PYTHONUNBUFFERED": "1"}
                    for i in range(workers)]
    group = ProcessGroup([sys.executable, "-m", module, *arguments], environments, plain_first=_wants_json(arguments))
    return group.wait(grace)


def _parse(own: Sequence[str]) -> Any:
    values = Arguments()
    values.define_number("workers", 2, "", int)
    values.define_number("grace", 5.0, "", float)
    flags.DEFINE_string("module", "reglab.train", "", flag_values=values)
    flags.DEFINE_bool("help", False, "", short_name="h", flag_values=values)
    try:
        extra = values.parsed(own)
    except UnknownFlag as error:
        raise ConfigError(f"--{error.name} is no flag of launch: put the flags of the workers after a --"
                          f"{error.hint}") from None
    if extra:
        raise ConfigError(f"unexpected argument '{shown(extra[0])}': put what the workers are to get after a --")
    if not 1 <= values.workers <= MOST_WORKERS:
        raise ConfigError(f"--workers={shown(values.workers)}: give a number from 1 to {MOST_WORKERS}; each is a "
                          "process with a TensorFlow of its own")
    if not 0 <= values.grace <= _MOST_GRACE:
        raise ConfigError(f"--grace={shown(values.grace)}: give a number of seconds from 0 to {_MOST_GRACE:,}")
    if not _exists(values.module):
        raise ConfigError(f"--module={shown(values.module)}: there is no such module; give one that python -m runs, "
                          f"such as reglab.certify{did_you_mean(values.module, ('reglab.train', 'reglab.certify'))}")
    return values


def _exists(module: str) -> bool:
    """Whether `python -m` would find a module, without importing anything."""
    parts = module.split(".")
    if len(module) > 200 or not all(part.isidentifier() for part in parts):
        return False
    places: Sequence[str] | None = ["", *sys.path]
    for i in range(len(parts)):
        spec = _spec(".".join(parts[:i + 1]), places) if places is not None else None
        if spec is None:
            return len(parts) == 1 and module in sys.builtin_module_names
        places = spec.submodule_search_locations
    return True


def _spec(name: str, places: Sequence[str]) -> ModuleSpec | None:
    """Looks for a module with every finder in turn, since one installed by `pip install -e` may be on no path."""
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, places)
        except Exception:  # There may be a damaged folder or archive on the path.
            continue
        if spec is not None:
            return spec
    return None


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether --json is among the workers' flags, however it is written, or in their flag file."""
    values = Arguments()
    flags.DEFINE_bool("json", False, "", flag_values=values)
    flags.DEFINE_string("flagfile", "", "", flag_values=values)
    values.set_gnu_getopt(True)
    try:
        values.parsed(arguments, known_only=True)
    except ConfigError:
        return False  # The workers will report what is wrong.
    return bool(values.json)


def _free_ports(count: int) -> list[int]:
    """Returns `count` ports that are free now.

    Raises:
      ConfigError: there are not enough.
    """
    ports: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise ConfigError(f"--workers={count}: of the ports from {_PORTS[0]} to {_PORTS[-1]} on 127.0.0.1 only "
                      f"{len(ports)} are free: ask for fewer workers, or end what has the others")


if __name__ == "__main__":
    run_process(main)
