"""`python -m tests.slurm [--nodes=N] COMMAND…` runs a command, `bash` for instance, where a Slurm is set up for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.slurm.local import lacking, slurm


def main(argv: list[str]) -> int:
    """Returns the exit code of the command; 77, which test runners take for skipped, where no Slurm can be had."""
    nodes = 2
    if argv and argv[0].startswith("--nodes="):
        nodes = int(argv.pop(0).partition("=")[2])
    if not argv:
        print(__doc__)
        return 2
    if reason := lacking():
        print(f"skipped: {reason}", file=sys.stderr)
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # So that everything is taken down.
    with slurm(nodes) as found:
        return subprocess.run(argv, env={**os.environ, **found}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
