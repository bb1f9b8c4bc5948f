"""Exit codes of the commands; part of the interface, so schedulers and scripts may rely on them."""

from __future__ import annotations

from typing import Final

SUCCESS: Final = 0
BAD_INPUT: Final = 2  # A flag, file or combination cannot be used; nothing was trained.
DIVERGED: Final = 3  # The loss became infinite or NaN.
VERDICT_FAILED: Final = 4  # All ran well, but a check failed: `compare --preset`, `certify`, `export`.
STORAGE_FAILED: Final = 74  # The file system refused in the middle of the work (EX_IOERR of sysexits.h).
PEER_LOST: Final = 69  # Another worker of the cluster never came, ended or hung (EX_UNAVAILABLE of sysexits.h).
INTERRUPTED: Final = 130  # A second Ctrl-C: nothing more was saved (128 + SIGINT).
STOPPED: Final = 75  # A signal: all is saved or nothing was yet, the same command goes on (EX_TEMPFAIL of sysexits.h).
