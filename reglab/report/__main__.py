"""`python -m reglab.report DIR…`: one page about runs, comparisons and sweeps. See `--help`."""

from __future__ import annotations

import json
import sys
from typing import Final

from reglab.cli.commands import Command, run_process
from reglab.cli.flags import CommandLine, ExtraFlags
from reglab.inputs import exit_codes

PURPOSE: Final = ("Tell what runs, comparisons, sweeps and paths found: as text, and as one HTML page with pictures "
                  "that needs no network. DIR is the folder of one of them, or a folder in which they lie.")
FLAGS: Final[ExtraFlags] = {
    "output": (str, "The page. One that is there is replaced only if it is a report as reglab wrote it.",
               "report.html"),
}


def _report(given: CommandLine) -> int:
    from reglab.report.reporting import report

    done = report(*given.operands, output=given.values["output"])
    out = sys.stderr if given.json else sys.stdout
    print(done, file=out)
    print(f"\nWritten to {done.output}", file=out)
    if given.json:
        print(json.dumps(done.to_dict(), allow_nan=False))
    return exit_codes.SUCCESS


main: Final = Command("reglab.report", PURPOSE, _report, FLAGS, trains=False, operands="DIR ...").main

if __name__ == "__main__":
    run_process(main)
