"""`python -m reglab.benchmark`: how fast reglab is on this machine, and what takes the time. See `--help`."""

from __future__ import annotations

import sys
from typing import Any, Final

from reglab.benchmark.settings import WITHOUT, Settings, extra_flags, make_settings
from reglab.cli.commands import Command, run_process
from reglab.cli.flags import CommandLine
from reglab.inputs import exit_codes
from reglab.storage.files import write_atomically, writing
from reglab.storage.ownership import owning

PURPOSE: Final = ("Measure training on this machine: its pace against what the device can do, and what the penalties, "
                  "summaries and checkpoints cost; on demand how it grows, and a race against other libraries. Every "
                  "section runs in processes of its own. What is measured on a busy machine is worth little.")


def _benchmark_owned(given: CommandLine) -> int:
    settings = make_settings(given.config, given.values)
    if settings.output is None:
        return _benchmark(settings, given.json)
    # Take the output's place now: an hour of measuring later is too late to find that it cannot be written.
    with owning(settings.output.parent, flag="--output", file=settings.output.name):
        return _benchmark(settings, given.json)


def _benchmark(settings: Settings, as_json: bool) -> int:
    from reglab.benchmark.experiment import benchmark
    from reglab.benchmark.tables import tables
    from reglab.console import open_console
    from reglab.storage.json_values import strict_json

    console = open_console(sys.stderr if as_json else sys.stdout)
    result = benchmark(settings, console)
    console.message(f"\n{tables(result)}")
    if as_json:
        print(strict_json(result), flush=True)
    if settings.output is not None:
        with writing(settings.output):
            write_atomically(settings.output, strict_json(result) + "\n", overwrite=False)
        console.message(f"\nWritten to {settings.output}")
    return exit_codes.SUCCESS if _is_sound(result) else exit_codes.VERDICT_FAILED


def _is_sound(result: dict[str, Any]) -> bool:
    """Whether every section was measured, and no library in a race did less work than the others."""
    races = [result.get("peers", {}), *(race["peers"] for race in result.get("lanes_against", {}).values())]
    failed = [result["failed"], result.get("peers_failed"),
              *(race["failed"] for race in result.get("lanes_against", {}).values())]
    scripts = [peer for peer in result.get("whole", {}).values() if isinstance(peer, dict)]
    return not any(failed) and all(peer.get("agrees", True)
                                   for peer in [*scripts, *(peer for peers in races for peer in peers.values())])


main: Final = Command("reglab.benchmark", PURPOSE, _benchmark_owned, extra_flags, WITHOUT).main

if __name__ == "__main__":
    run_process(main)
