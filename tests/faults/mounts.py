"""Small file systems of the harness' own, to fill and to make read-only; and what fills them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import time
from collections.abc import Iterator

from tests.faults.cases import Bench


def end(bench: Bench) -> None:
    """Unmounts what an interrupted case left mounted."""
    with open("/proc/mounts") as file:
        places = [line.split()[1] for line in file]
    for place in reversed(places):
        if place.startswith(f"{bench.folder}/"):
            subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)


@contextlib.contextmanager
def mounted(place: pathlib.Path, options: str) -> Iterator[pathlib.Path | None]:
    """A tmpfs at `place`, gone afterwards; None where mounting is not permitted."""
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", options, "none", str(place)):
        yield None
        return
    try:
        yield place
    finally:
        while os.path.ismount(place):
            subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=True)


def mount(*arguments: str) -> bool:
    """Calls mount(8); whether that went well."""
    with contextlib.suppress(OSError):
        return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0
    return False


def fill_bytes(disk: pathlib.Path) -> None:
    """Leaves not a byte, in the folder `filler`."""
    (disk / "filler").mkdir(exist_ok=True)
    for size in (1 << 20, 4096):
        with contextlib.suppress(OSError), open(disk / "filler" / "bytes", "ab", buffering=0) as file:
            while file.write(bytes(size)):
                pass


def fill_inodes(disk: pathlib.Path) -> None:
    """Leaves no room for another file, however small, in the folder `filler`."""
    (disk / "filler").mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        while True:
            open(disk / "filler" / f"{time.monotonic_ns()}", "w").close()
