"""Signals at every moment of every command: `python -m tests.faults.signals 250` prints what became of them, by phase.

A try starts a command, watches its output and files until the phase has begun, waits a little at random and sends a
signal. Right is: out in time with code 75, one line that tells the truth about what was saved, whole files and nothing
half-written; or with code 0 and all done where the signal came too late; after a second SIGINT code 130 and one line.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

ROOT: Final = pathlib.Path(__file__).parents[2]
IN_TIME: Final = 5.0
"""Seconds, on a machine that has nothing else to do."""
PATIENCE: Final = 300.0
TERM, INT, HUP, USR1, USR2 = ALL = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
BAD_LINES: Final = re.compile("Traceback|Exception ignored|Exception in thread|Fatal Python error|core dumped|"
                              "thread 0x")


class Row(NamedTuple):
    """What became of the signals of a phase."""

    phase: str
    signal: str
    tried: int
    saved: int
    nothing_yet: int
    wrong: int
    slowest: float


class Wrong(Exception):
    """reglab broke its word."""


@dataclasses.dataclass
class Process:
    """A command that runs in `folder`."""

    pid: int
    folder: pathlib.Path
    wait: Callable[[], int]
    name: str = "0"
    sent: float = 0.0

    def text(self, stream: str) -> str:
        """What it has printed on "out" or "err"."""
        return (self.folder / f"{stream}{self.name}").read_text(errors="replace")

    def is_there(self, pattern: str) -> bool:
        """Whether a file is in the folder."""
        return next(self.folder.glob(pattern), None) is not None

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, if it is still there."""
        self.sent = self.sent or time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Phase(NamedTuple):
    """A moment of a command.

    Attributes:
      kind: what is checked afterwards: train, sweep, compare, export or certify.
      argv: module and flags.
      begun: whether the phase has begun.
      spread: the signal is sent up to so many seconds later.
      compiles: a compilation may be under way, for which the command need not be out within `IN_TIME`.
      numbers: the signals to choose from; each may be several in a row.
      fresh: imports TensorFlow itself, else it is forked from a process that has.
      workers: of how many it is one; so many are started, but for those `missing`.
    """

    name: str
    kind: str
    argv: Sequence[str]
    begun: Callable[[Process], bool]
    spread: float
    compiles: bool = False
    numbers: Sequence[tuple[signal.Signals, ...]] = tuple((number,) for number in ALL)
    fresh: bool = False
    workers: int = 1
    missing: int = 0


def gathers(process: Process) -> bool:
    """Whether it waits for other workers: it listens on a port."""
    with contextlib.suppress(OSError):
        open_sockets = {os.readlink(path) for path in pathlib.Path(f"/proc/{process.pid}/fd").iterdir()}
        table = pathlib.Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]
        return any(f"socket:[{line.split()[9]}]" in open_sockets for line in table if line.split()[3] == "0A")
    return False


def listens(process: Process) -> bool:
    """Whether the first line of `main` has run: the stop signals are blocked, in that thread."""
    try:
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return True
    return bool(int(re.search(r"SigBlk:\s*(\w+)", status)[1], 16) & 1 << (signal.SIGTERM - 1))  # type: ignore[index]


def said(text: str) -> Callable[[Process], bool]:
    """Whether it has printed `text`."""
    return lambda process: text in process.text("out")


def made(pattern: str) -> Callable[[Process], bool]:
    """Whether it has made such a file."""
    return lambda process: process.is_there(pattern)


def has_work(process: Process) -> bool:
    """Whether there are at least two checkpoints, so that steps are surely taken."""
    return len(list(process.folder.glob("run/checkpoints/ckpt-*.index"))) > 1


TRAIN: Final = ("reglab.train", "--hidden=8", "--l1=1e-3", "--model_dir=run")
ENDLESS: Final = (*TRAIN, "--epochs=1000000")
STEPS: Final = (*ENDLESS, "--evaluate_every=1000000", "--checkpoint_every=1000")
SWEEP: Final = ("reglab.sweep", "--hidden=8", "--l1=0,1e-3", "--lanes_per_call=1", "--model_dir=run")
SHORT: Final = (*SWEEP, "--epochs=2", "--seeds=2")
COMPARE: Final = ("reglab.compare", "--hidden=8", "--l1=1e-3", "--l2=1e-3", "--seeds=2", "--model_dir=run")
TWICE: Final = ((INT, INT), (TERM, INT))
STORM: Final = ((TERM, TERM), (HUP, HUP), (USR1, TERM), (TERM, HUP, USR2))

PHASES: Final = (
    Phase("train: import", "train", ENDLESS, listens, 4, fresh=True),
    Phase("train: data, tracing", "train", ENDLESS, listens, 0.5),
    Phase("train: compilation", "train", ENDLESS, made("run/config.json"), 0.8, compiles=True),
    Phase("train: step", "train", STEPS, has_work, 0.7),
    Phase("train: evaluation", "train", ENDLESS, has_work, 0.3),
    Phase("train: save", "train", (*ENDLESS, "--checkpoint_every=7"), has_work, 0.1),
    Phase("train: result", "train", (*TRAIN, "--epochs=3"), said("2/3"), 0.1),
    Phase("train: twice", "train", STEPS, has_work, 0.3, numbers=STORM),
    Phase("train: second INT, compilation", "twice", ENDLESS, made("run/config.json"), 0.5, numbers=TWICE),
    Phase("train: second INT, step", "twice", STEPS, has_work, 0.5, numbers=TWICE),
    Phase("train: second INT, import", "twice", ENDLESS, listens, 2, numbers=TWICE, fresh=True),
    Phase("sweep: chunk", "sweep", (*SWEEP, "--epochs=60"), made("run/chunks/*0.json"), 1),
    Phase("sweep: pictures", "sweep", SHORT, made("run/sweep.csv"), 1.5),
    Phase("sweep: winner", "sweep", (*SHORT, "--epochs=40"), made("run/winner/config.json"), 1.5, compiles=True),
    Phase("path: point", "sweep", (*SWEEP[:-2], "--model_dir=run", "--path", "--epochs=60"),
          made("run/chunks/*0.json"), 1),
    Phase("path: picture", "sweep", (*SWEEP[:-2], "--model_dir=run", "--path", "--epochs=3"), made("run/path.csv"), 1),
    Phase("compare: training", "compare", (*COMPARE, "--epochs=100000"), said("Writing to"), 2, compiles=True),
    Phase("compare: pictures", "compare", (*COMPARE, "--epochs=2"), made("run/.partial/compare.csv"), 1),
    Phase("export: start", "export", ("reglab.export", "--model_dir=done"), listens, 1),
    Phase("export: writing", "export", ("reglab.export", "--model_dir=done", "--output=done/saved"),
          made("done/.export-*"), 0.5),
    Phase("certify", "certify", ("reglab.certify", "replicas", "--hidden=8", "--strategy=one_device"), said("replica"),
          5, compiles=True),
    Phase("benchmark", "certify", ("reglab.benchmark", "--sections=speed", "--hidden=8", "--seconds=1"), listens, 5),
    Phase("two workers: one never comes", "train", ENDLESS, gathers, 1, fresh=True, workers=2, missing=1),
    Phase("two workers: before the servers", "train", ENDLESS, listens, 6, fresh=True, workers=2, compiles=True),
    Phase("two workers: compilation", "train", ENDLESS, made("run/config.json"), 2, fresh=True, workers=2,
          compiles=True, numbers=((TERM, TERM), (USR1,))),
    Phase("two workers: step", "train", STEPS, has_work, 1, fresh=True, workers=2, numbers=((TERM, TERM), (TERM,))),
)


class Bench:
    """Starts commands."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.environment = {**{name: value for name, value in os.environ.items() if not name.startswith("TF_")},
                            "PYTHONPATH": str(ROOT), "REGLAB_COMPILE_CACHE": str(folder / "cache"),
                            "PYTHONUNBUFFERED": "1"}
        self._server = subprocess.Popen([sys.executable, "-m", "tests.faults.signals", "serve"], cwd=ROOT, text=True,
                                        env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def start(self, argv: Sequence[str], folder: pathlib.Path, fresh: bool, name: str = "0", **env: str) -> Process:
        """Starts a command in its folder."""
        for stream in ("out", "err"):
            (folder / f"{stream}{name}").touch()
        if fresh:
            with open(folder / f"out{name}", "w") as out, open(folder / f"err{name}", "w") as err:
                child = subprocess.Popen([sys.executable, "-m", *argv], cwd=folder, stdout=out, stderr=err,
                                         stdin=subprocess.DEVNULL, env={**self.environment, **env},
                                         start_new_session=True, preexec_fn=_heed)
            return Process(child.pid, folder, lambda: child.wait(PATIENCE), name)
        assert self._server.stdin is not None
        print(json.dumps([list(argv), str(folder)]), file=self._server.stdin, flush=True)
        return Process(int(self._answer()), folder, lambda: os.waitstatus_to_exitcode(int(self._answer())), name)

    def _answer(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline()

    def close(self) -> None:
        """Ends what starts them."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()


def run(tries: int, seed: int = 0, folder: str | os.PathLike[str] | None = None, only: str = "") -> list[Row]:
    """Sends so many signals, spread over the phases; a line on stderr tells of each that went wrong."""
    rng = random.Random(seed)
    counts: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(collections.Counter)
    times: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
    phases = [phase for phase in PHASES if only in phase.name]
    rng.shuffle(phases)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        bench = Bench(pathlib.Path(work))
        try:
            done = pathlib.Path(work) / "done"
            bench.start((*TRAIN[:-1], "--epochs=1", "--model_dir=done"), pathlib.Path(work), fresh=False).wait()
            for i in range(tries):
                phase = phases[i % len(phases)]
                numbers = phase.numbers[i // len(phases) % len(phase.numbers)]
                name = "+".join(number.name for number in numbers)
                at = pathlib.Path(work) / f"try{i}"
                shutil.copytree(done, at / "done")
                try:
                    became = _try(bench, phase, numbers, at, rng, times[phase.name, name])
                except Wrong as error:
                    became = "wrong"
                    print(f"{phase.name}, {name}, try {i} of seed {seed}: {error}", file=sys.stderr, flush=True)
                counts[phase.name, name][became] += 1
                print(f"{i}: {phase.name}, {name}: {became}", file=sys.stderr, flush=True)
                shutil.rmtree(at)
        except KeyboardInterrupt:
            print("interrupted: what was found until now", file=sys.stderr)
        finally:
            bench.close()
    order = [phase.name for phase in PHASES]
    return [Row(phase, name, count.total(), *(count[became] for became in ("saved", "nothing yet", "wrong")),
                max(times[phase, name], default=0))
            for (phase, name), count in sorted(counts.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))]


def _try(bench: Bench, phase: Phase, numbers: Sequence[signal.Signals], at: pathlib.Path, rng: random.Random,
         slowest: list[float]) -> str:
    processes = [bench.start(phase.argv, at, phase.fresh, str(i), **env)
                 for i, env in list(enumerate(_cluster(phase.workers, rng)))[:phase.workers - phase.missing]]
    deadline, chief = time.monotonic() + PATIENCE, processes[0]
    while not (phase.begun(chief) and all(map(listens, processes))):
        if time.monotonic() > deadline:
            for process in processes:
                process.send(signal.SIGKILL)
                process.wait()
            raise Wrong(f"the phase did not begin: {chief.text('out')[-300:]} {chief.text('err')[-300:]}")
        time.sleep(0.002)
    time.sleep(rng.uniform(0, phase.spread))
    for number in numbers:
        for process in processes:
            process.send(number)
        # Two that come before the first is heard are one to the system: no person presses Ctrl-C twice so fast.
        time.sleep(0.1 if phase.kind == "twice" else rng.choice([0, 0, 0.01, 0.1]))
    endings = {_ending(process, phase, slowest) for process in processes}
    if len(endings) > 1:
        raise Wrong(f"the workers ended differently: {endings}")
    return endings.pop()


def _cluster(workers: int, rng: random.Random) -> Iterator[dict[str, str]]:
    ports = rng.sample(range(20_000, 32_000), workers)
    for i in range(workers):
        yield {} if workers == 1 else {"TF_CONFIG": json.dumps({
            "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]}, "task": {"type": "worker", "index": i}})}


def _ending(process: Process, phase: Phase, slowest: list[float]) -> str:
    """What became of it: "saved" (also where all was done) or "nothing yet"."""
    code = process.wait()
    seconds, out, err = time.monotonic() - process.sent, process.text("out"), process.text("err")
    slowest.append(round(seconds, 1))
    lines = [line for line in err.splitlines() if line.strip()]
    told = f"code {code} after {seconds:.1f} s: {err[-600:]!r}"
    if BAD_LINES.search(out + err) or len(lines) > 1:
        raise Wrong(told)
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    if seconds > IN_TIME * busy and not phase.compiles:
        raise Wrong(f"late: {told}")
    if code == 130 and phase.kind == "twice" and "second SIGINT" in err:
        return "nothing yet"
    if code == 0 and not lines:
        _check_done(process, phase)
        return "saved"
    if code != 75 or len(lines) != 1 or not lines[0].startswith("reglab: stopped by "):
        raise Wrong(told)
    _check_nothing_half(process)
    if "nothing yet to save; the same command starts again" in lines[0]:
        if process.is_there("run/checkpoints/ckpt-*.index") or process.is_there("run/chunks/*.json"):
            raise Wrong(f"something was saved: {told}")
        return "nothing yet"
    _check_saved(process, phase, lines[0])
    return "saved" if phase.kind != "compare" else "nothing yet"


def _check_saved(process: Process, phase: Phase, line: str) -> None:
    if phase.kind == "compare" and "nothing saved; the same command starts again" in line:
        return
    if "; the same command with --model_dir=run goes on" not in line:
        raise Wrong(line)
    if step := re.search(r"after step (\d+), saved", line):
        from reglab.engine.startup import quiet_tensorflow
        load_checkpoint = quiet_tensorflow().train.load_checkpoint
        found = sorted(process.folder.glob(f"run/**/ckpt-{step[1]}.index"))
        if not found:
            raise Wrong(f"no checkpoint: {line}")
        reader = load_checkpoint(str(found[0].with_suffix("")))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    elif finished := re.search(r"(\d+) of \d+ (chunks|warm starts) finished", line):
        name = "chunk" if finished[2] == "chunks" else "point"
        parts = [json.loads(path.read_text()) for path in process.folder.glob(f"run/chunks/{name}-*.json")]
        if len(parts) != int(finished[1]):
            raise Wrong(f"{len(parts)} {finished[2]}: {line}")
    else:
        raise Wrong(line)


def _check_done(process: Process, phase: Phase) -> None:
    wanted = {"train": "run/result.json", "twice": "run/result.json", "compare": "run/compare.json",
              "export": "done/[ms][oa][dv]e[ld]*", "sweep": "run/[sp][wa][et][eh]*.json"}.get(phase.kind)
    if wanted is not None and not process.is_there(wanted):
        raise Wrong(f"code 0, but no {wanted}")
    _check_nothing_half(process)


def _check_nothing_half(process: Process) -> None:
    for pattern in ("**/.export-*", "run/.partial", "**/.*.tmp"):
        if process.is_there(pattern):
            raise Wrong(f"{pattern} was left")


def _heed() -> None:
    for number in ALL:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _serve() -> None:
    """Forks a command for each line on stdin, with TensorFlow imported; answers its process and how it ended."""
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow()
    for line in sys.stdin:
        argv, folder = json.loads(line)
        if (child := os.fork()) == 0:
            _become(argv, folder)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


def _become(argv: Sequence[str], folder: str) -> Any:
    import runpy
    os.setsid()
    os.chdir(folder)
    for descriptor, name in enumerate((os.devnull, "out0", "err0")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), descriptor)
    _heed()
    sys.argv = list(argv)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
    os._exit(99)


def table(rows: Sequence[Row]) -> str:
    """The rows for people, and their sum."""
    sums = [sum(column) for column in list(zip(*rows, strict=True))[2:-1]]
    total = Row("all", "", *sums, slowest=max(row.slowest for row in rows))
    return "\n".join(f"{row[0]:34} {row[1]:24}" + "".join(f"{cell:>12}" for cell in row[2:])
                     for row in [Row._fields, *rows, total])  # type: ignore[misc]


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve()
    else:
        rows = run(int(sys.argv[1]), *map(int, sys.argv[2:3]), only="".join(sys.argv[3:4]))
        print(table(rows))
        sys.exit(4 if any(row.wrong for row in rows) else 0)
