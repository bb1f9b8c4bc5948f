"""What the file system does to a command: full, read-only, taken away. Needs root for `mount`; run by hand.

    python -m tests.faults.disk [name ...]

Every case runs a command on a file system of its own that refuses in the middle of the work, looks at the line, the
exit code and what is left, mends the file system and gives the same command again: it has to end with the weights of an
undisturbed run. The table says what happened.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
TRAIN = ["reglab.train", "--hidden=64,32", "--epochs=8", "--nojit", "--summary_every=1", "--seed=5"]
LONG = ["reglab.train", "--hidden=8", "--epochs=150", "--nojit", "--summary_every=10", "--checkpoint_every=200",
        "--seed=5", "--evaluate_every=10"]
SWEEP = ["reglab.sweep", "--hidden=8", "--epochs=4", "--nojit", "--l1=0,1e-3,1e-2", "--seeds=2", "--lanes_per_call=2",
         "--train_size=300"]
LONG_SWEEP = [*SWEEP, "--epochs=60"]
COMPARE = ["reglab.compare", "--hidden=8", "--epochs=4", "--nojit", "--l1=1e-3", "--seeds=2", "--train_size=300"]
PATH = ["reglab.sweep", "--path", "--hidden=8", "--epochs=20", "--nojit", "--l1=1e-4,1e-3,1e-2,1e-1",
        "--train_size=300"]


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    error: str

    @property
    def is_one_line(self) -> bool:
        """Whether it says what is wrong in one line."""
        return self.error.count("\n") == 1 and self.error.startswith("reglab: ")


def start(command: list[str], folder: pathlib.Path, **options: object) -> subprocess.Popen[str]:
    """The command, writing to `folder`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "PYTHON"))}
    return subprocess.Popen([sys.executable, "-m", *command, f"--model_dir={folder}"], text=True, cwd=folder.parent,
                            env=environment | {"PYTHONPATH": str(ROOT)},
                            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options})  # type: ignore


def finish(process: subprocess.Popen[str]) -> Outcome:
    """Waits for the command."""
    _, error = process.communicate(timeout=300)
    return Outcome(process.returncode, error)


@contextlib.contextmanager
def mounted(place: pathlib.Path, size: str = "100M") -> Iterator[pathlib.Path]:
    """A file system of `size` in memory."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def make_read_only(folder: pathlib.Path) -> None:
    """Whatever is opened in the folder from now on is; `writable` takes it back."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)


def make_writable(folder: pathlib.Path) -> None:
    """After `make_read_only`."""
    subprocess.run(["umount", folder], check=True)


def fill(place: pathlib.Path) -> None:
    """Leaves no room on a file system, but for what its files have in their last blocks."""
    with contextlib.suppress(OSError), open(place / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def when(condition: Callable[[], bool], action: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Does something as soon as the condition holds, unless the process ends before."""
    while process.poll() is None and not condition():
        time.sleep(0.02)
    action()


def has_saved(folder: pathlib.Path) -> bool:
    """Whether a run has saved twice, or a sweep a chunk."""
    return len(list(folder.glob("checkpoints/ckpt-*.index"))) > 1 or bool(list(folder.glob("chunks/*.json")))


def leftovers(folder: pathlib.Path) -> list[str]:
    """Temporary files."""
    return sorted(str(path.relative_to(folder)) for pattern in ("**/.*", "**/*_temp*", "**/*tempstate*")
                  for path in folder.glob(pattern))


def weights(folder: pathlib.Path) -> object:
    """What a finished command found, to the bit."""
    for name in ("sweep.json", "path.json"):
        if (folder / name).exists():
            return (folder / name).read_bytes()
    if (folder / "compare.json").exists():
        return json.loads((folder / "compare.json").read_text())["arms"]
    steps = [int(path.stem[5:]) for path in folder.glob("checkpoints/ckpt-*.index")]
    if not steps:
        return None
    import tensorflow as tf  # Late: it takes seconds.

    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{max(steps)}"))
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return ({name: reader.get_tensor(name).tobytes() for name in sorted(reader.get_variable_to_shape_map())
             if name.startswith(("parameters/", "slots/", "step/"))},
            [{tag: value for tag, value in line.items() if not tag.startswith("perf/")} for line in metrics])


class Case(NamedTuple):
    """A command and what is done to its folder, or to the file system, once it has saved; and how that is mended."""

    name: str
    command: list[str]
    harm: Callable[[pathlib.Path, pathlib.Path], object]
    mend: Callable[[pathlib.Path, pathlib.Path], object] = lambda place, folder: None
    codes: tuple[int, ...] = (74,)
    size: str = "100M"
    same: bool = True


def _remove(name: str) -> Callable[[pathlib.Path, pathlib.Path], object]:
    def remove(place: pathlib.Path, folder: pathlib.Path) -> None:
        path = folder / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    return remove


def _full(place: pathlib.Path, folder: pathlib.Path) -> None:
    fill(place)


def _room(place: pathlib.Path, folder: pathlib.Path) -> None:
    (place / "filler").unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,size=100M", place], check=True)


def _read_only(place: pathlib.Path, folder: pathlib.Path) -> None:
    make_read_only(folder)


def _writable(place: pathlib.Path, folder: pathlib.Path) -> None:
    make_writable(folder)


def _replace_by_folder(name: str) -> Callable[[pathlib.Path, pathlib.Path], object]:
    def replace(place: pathlib.Path, folder: pathlib.Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()
    return replace


def _nothing(place: pathlib.Path, folder: pathlib.Path) -> None:
    """The file system is small from the beginning."""


CASES = (
    Case("train, full from the first save", TRAIN, _nothing, _room, size="300k"),
    Case("train, full in mid-run", LONG, _full, _room, size="2M"),
    Case("train, read-only in mid-run", LONG, _read_only, _writable),
    Case("train, folder removed", LONG, _remove(""), same=False),
    Case("train, checkpoints/ removed", LONG, _remove("checkpoints"), same=False),
    Case("train, config.json removed", LONG, _remove("config.json"), codes=(0,)),
    Case("train, metrics.jsonl removed", LONG, _remove("metrics.jsonl"), same=False),
    Case("train, train/ removed", LONG, _remove("train")),
    Case("train, a folder in place of result.json", LONG, _replace_by_folder("result.json"), _remove("result.json")),
    Case("sweep, full at the chunks", SWEEP, _nothing, _room, size="20k"),
    Case("sweep, full at the pictures", SWEEP, _nothing, _room, size="130k"),
    Case("sweep, full in mid-run", LONG_SWEEP, _full, _room, size="2M"),
    Case("sweep, read-only in mid-run", LONG_SWEEP, _read_only, _writable),
    Case("sweep, chunks/ removed", LONG_SWEEP, _remove("chunks")),
    Case("sweep, a folder in place of a chunk", LONG_SWEEP, _replace_by_folder("chunks/chunk-002.json"),
         _remove("chunks/chunk-002.json")),
    Case("path, full in mid-run", PATH, _full, _room, size="2M"),
    Case("compare, full", COMPARE, _nothing, _room, size="100k"),
)


def try_case(case: Case, expected: object, root: pathlib.Path) -> tuple[Outcome, str]:
    """How the command ended, and what is wrong with that or with what the same command made of it afterwards."""
    with mounted(root / "mount", case.size) as place:
        folder = place / "run"
        process = start(case.command, folder)
        if case.harm is not _nothing:
            when(lambda: has_saved(folder), lambda: case.harm(place, folder), process)
        outcome = finish(process)
        problems = []
        if outcome.code not in case.codes:
            problems.append(f"exit code {outcome.code}")
        if outcome.code and not outcome.is_one_line:
            problems.append(f"{outcome.error.count(chr(10))} lines")
        if leftovers(folder) and case.mend is not _writable:  # Where nothing can be removed, the next start does.
            problems.append(f"left {leftovers(folder)}")
        case.mend(place, folder)
        again = finish(start(case.command, folder))
        if again.code or leftovers(folder):
            problems.append(f"afterwards exit code {again.code}, {again.error!r}, left {leftovers(folder)}")
        elif case.same and weights(folder) != expected:
            problems.append("another result afterwards")
        return outcome, "; ".join(problems)


def main(names: list[str]) -> int:
    """Tries the cases whose names contain one of these, or all; 4 if one is wrong."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    wrong, expected = 0, {}
    with tempfile.TemporaryDirectory() as made:
        root = pathlib.Path(made)
        for case in CASES:
            if names and not any(name in case.name for name in names):
                continue
            key = " ".join(case.command)
            if key not in expected:
                folder = root / f"undisturbed-{len(expected)}"
                assert finish(start(case.command, folder)).code == 0
                expected[key] = weights(folder)
            outcome, problem = try_case(case, expected[key], root)
            wrong += bool(problem)
            print(f"{'WRONG' if problem else 'right'}  {case.name}: {outcome.code} {outcome.error.strip()[-300:]!r} "
                  f"{problem}", flush=True)
    return 4 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
