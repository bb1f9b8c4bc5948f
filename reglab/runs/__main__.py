"""`python -m reglab.runs [FOLDER]`: the runs in a folder. See `--help`."""

from __future__ import annotations

import shutil
import sys
from typing import Final

from reglab.cli.commands import Command, run_process
from reglab.cli.flags import CommandLine, ExtraFlags
from reglab.config import ConfigError
from reglab.inputs import exit_codes
from reglab.storage.json_values import strict_json

PURPOSE: Final = ("List the runs, comparisons and sweeps in FOLDER (by default runs) with their state, best validation "
                  "data loss and accuracy, steps, age and size, and the settings in which they differ.")
FLAGS: Final[ExtraFlags] = {
    "sort": (str, "What sorts: age (the newest first), name, state, dataset, data_loss, accuracy, steps or size.",
             "age"),
}


def _list(given: CommandLine) -> int:
    from reglab.runs.listing import runs

    if len(given.operands) > 1:
        raise ConfigError(f"{given.operands[1]} is one folder too many: name one, in which there may be others")
    found = runs(*given.operands, sort=given.values["sort"])
    if given.json:
        print(strict_json(found.to_dict()))
        return exit_codes.SUCCESS
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(line[:width] for line in str(found).splitlines()))
    return exit_codes.SUCCESS


main: Final = Command("reglab.runs", PURPOSE, _list, FLAGS, trains=False, operands="[FOLDER]").main

if __name__ == "__main__":
    run_process(main)
