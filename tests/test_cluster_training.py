"""Training on two workers, with real processes that are asked to stop, killed, frozen, and never started."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from reglab.cluster import Cluster
from reglab.inputs import exit_codes

ROOT = pathlib.Path(__file__).parent.parent
FLAGS = ["--hidden=4", "--l1=1e-3", "--l2=1e-3", "--epochs=36", "--evaluate_every=18", "--checkpoint_every=50",
         "--summary_every=50", "--rendezvous_timeout=120", "--model_dir=run"]
STEPS = 36 * 34
SOME = 100  # Steps after which something happens: three times that, and what is taken meanwhile, is less than STEPS.
PATIENCE = 300  # Seconds for what takes ten where nothing else runs.


def environment(**more: str) -> dict[str, str]:
    """That of a user: nothing of what the tests set for TensorFlow."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "PYTHON"))}
    return kept | {"PYTHONPATH": str(ROOT)} | more


def free_addresses(count: int) -> tuple[str, ...]:
    """Ports below those of outgoing connections, which could take one before its worker does."""
    with contextlib.ExitStack() as stack:
        found: list[str] = []
        for port in np.random.default_rng().permutation(range(20_000, 32_000)).tolist():
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(f"127.0.0.1:{port}")
            if len(found) == count:
                break
        return tuple(found)


def start(folder: pathlib.Path, addresses: tuple[str, ...], index: int, *flags: str) -> subprocess.Popen[str]:
    config = Cluster(addresses, index, "TF_CONFIG").tf_config()
    return subprocess.Popen([sys.executable, "-m", "reglab.train", *FLAGS, *flags], env=environment(TF_CONFIG=config),
                            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)


@contextlib.contextmanager
def two_workers(folder: pathlib.Path, *flags: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Both run; neither is left when the block ends."""
    addresses = free_addresses(2)
    workers = [start(folder, addresses, i, *flags) for i in range(2)]
    try:
        yield workers
    finally:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.communicate()


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a process ended, `seconds` after it was waited for, or after another moment."""

    code: int
    out: str
    err: str
    seconds: float


def finish(process: subprocess.Popen[str], begun: float | None = None) -> Ended:
    begun = time.monotonic() if begun is None else begun
    out, err = process.communicate(timeout=PATIENCE)
    return Ended(process.returncode, out, err, time.monotonic() - begun)


def last_checkpoint(folder: pathlib.Path) -> int:
    """The step of the newest checkpoint, 0 where there is none."""
    return max((int(path.stem.split("-")[1]) for path in (folder / "checkpoints").glob("ckpt-*.index")), default=0)


def wait_for_step(step: int, folder: pathlib.Path, workers: list[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + PATIENCE
    while last_checkpoint(folder / "run") < step:
        assert time.monotonic() < deadline
        assert all(worker.poll() is None for worker in workers)
        time.sleep(0.02)


def numbers(path: pathlib.Path) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)
    return json.loads(path.read_text(), parse_constant=refuse)


def weights(folder: pathlib.Path) -> dict[str, bytes]:
    """Every array of the newest checkpoint."""
    import tensorflow as tf
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{last_checkpoint(folder)}"))
    return {name: np.asarray(reader.get_tensor(name)).tobytes() for name in reader.get_variable_to_shape_map()
            if "OBJECT_GRAPH" not in name}


# A run that nothing happens to, by the launcher.

@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run: its folder and how the command ended."""

    folder: pathlib.Path
    ended: Ended


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run, left alone, with --json."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = subprocess.Popen([sys.executable, "-m", "reglab.launch", "--", *FLAGS, "--json"], env=environment(),
                               cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        return Run(folder, finish(process))
    finally:
        process.kill()
        process.communicate()


def test_with_json_the_chief_alone_prints_its_result(undisturbed: Run) -> None:
    assert undisturbed.ended.code == exit_codes.SUCCESS, undisturbed.ended.err
    assert json.loads(undisturbed.ended.out) == numbers(undisturbed.folder / "run" / "result.json")


def test_the_chief_alone_shows_progress(undisturbed: Run) -> None:
    lines = undisturbed.ended.err.splitlines()
    assert lines and all(line.startswith("[0] ") for line in lines)
    assert sum("Done after" in line for line in lines) == 1


def test_the_folder_is_written_once(undisturbed: Run) -> None:
    folder = undisturbed.folder
    assert [path.name for path in folder.iterdir()] == ["run"]
    assert len(list(folder.rglob("result.json"))) == len(list(folder.rglob("metrics.jsonl"))) == 1
    assert [len(list((folder / "run" / split).iterdir())) for split in ("train", "validation")] == [1, 1]
    measured = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in measured if "learning_rate" in line] == list(range(0, STEPS, 50))


def test_header_and_result_say_what_ran(undisturbed: Run) -> None:
    result = numbers(undisturbed.folder / "run" / "result.json")
    strategy = result["strategy"]
    assert (strategy["name"], strategy["replicas"], strategy["workers"]) == ("multi_worker", 2, 2)
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+/CPU:0", device) for device in strategy["devices"])
    assert strategy["collective"] == "TensorFlow's ring"
    assert result["xla"] == "gradient and update of each step; not the loop, the all-reduce and evaluation"
    header = undisturbed.ended.err
    assert f"multi_worker: 2 replicas of 2 workers ({', '.join(strategy['devices'])}), all-reduce by " in header
    assert f"compiles {result['xla']}" in header


# A run to which everything happens: one worker is asked to stop, then one is killed, then one is frozen, each after
# some checkpoints; between, the same command is given again.

@dataclasses.dataclass(frozen=True)
class Troubled:
    """What became of the workers each time, and the folder as the last of the four commands left it."""

    folder: pathlib.Path
    stopped: list[Ended]
    saved: int  # The checkpoint that was left.
    killed: Ended  # The other worker.
    frozen: Ended  # The other worker.
    resumed: list[Ended]


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Troubled:
    """The run in four parts."""
    folder = tmp_path_factory.mktemp("troubled")
    with two_workers(folder) as workers:
        wait_for_step(SOME, folder, workers)
        workers[1].send_signal(signal.SIGTERM)
        stopped = [finish(worker) for worker in workers]
        saved = last_checkpoint(folder / "run")
    with two_workers(folder) as workers:
        wait_for_step(saved + SOME, folder, workers)
        workers[1].kill()
        killed = finish(workers[0])
    with two_workers(folder) as workers:
        wait_for_step(last_checkpoint(folder / "run") + SOME, folder, workers)
        workers[0].send_signal(signal.SIGSTOP)
        frozen = finish(workers[1])
    with two_workers(folder) as workers:
        resumed = [finish(worker) for worker in workers]
    return Troubled(folder, stopped, saved, killed, frozen, resumed)


def test_sigterm_to_one_worker_saves_and_stops_all_at_the_same_step(troubled: Troubled) -> None:
    chief, other = troubled.stopped
    assert (chief.code, other.code) == (exit_codes.STOPPED, exit_codes.STOPPED), (chief.err, other.err)
    assert max(chief.seconds, other.seconds) < 30
    said = "reglab: stopped by {} after step {}, saved; the same command with --model_dir=run goes on\n"
    assert chief.err == said.format("a signal to another worker", troubled.saved)
    assert other.err == said.format("SIGTERM", troubled.saved)
    assert other.out == ""
    assert SOME <= troubled.saved < STEPS


@pytest.mark.parametrize("event", ["killed", "frozen"])
def test_a_worker_lost_in_mid_run_ends_the_others_within_30_seconds(troubled: Troubled, event: str) -> None:
    left: Ended = getattr(troubled, event)
    assert left.code == exit_codes.PEER_LOST == 69, left.err
    assert left.seconds < 35  # On a busy machine.
    index = 0 if event == "killed" else 1
    said = [line for line in left.err.splitlines() if line.startswith("reglab: ")]
    assert len(said) == 1
    assert said[0].startswith(f"reglab: worker {index} (127.0.0.1:") and "lost touch with another worker" in said[0]
    assert "Traceback" not in left.err


def test_the_same_command_goes_on_to_the_weights_of_a_run_left_alone(troubled: Troubled, undisturbed: Run) -> None:
    assert [(worker.code, worker.err) for worker in troubled.resumed] == [(0, ""), (0, "")]
    assert f" of {STEPS}." in troubled.resumed[0].out and "Resumed after step " in troubled.resumed[0].out
    assert troubled.resumed[1].out == ""
    assert weights(troubled.folder / "run") == weights(undisturbed.folder / "run")
    ours, theirs = (numbers(run.folder / "run" / "result.json") for run in (troubled, undisturbed))
    assert ours["validation"] == theirs["validation"]
    assert ours["resumed_from"] > troubled.saved


def test_each_measured_step_is_told_once(troubled: Troubled, undisturbed: Run) -> None:
    def told(run: Run | Troubled) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (run.folder / "run" / "metrics.jsonl").read_text().splitlines()]
        return [{name: value for name, value in line.items() if not name.startswith("perf/")} for line in lines]
    assert told(troubled) == told(undisturbed)


# Peers that never appear.

@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[pathlib.Path, tuple[str, ...], Ended]]:
    """Of a worker 0 and of a worker 1, whose peers are never started: folder, addresses, and how it ended."""
    folders, addresses = [tmp_path_factory.mktemp("lonely") for _ in range(2)], free_addresses(4)
    of_each = [addresses[:2], addresses[2:]]
    begun = time.monotonic()
    processes = [start(folders[i], of_each[i], i, "--rendezvous_timeout=2") for i in range(2)]
    try:
        return [(folders[i], of_each[i], finish(processes[i], begun)) for i in range(2)]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_whose_peer_never_appears_says_which_and_writes_nothing(
        lonely: list[tuple[pathlib.Path, tuple[str, ...], Ended]], index: int,
        tree: Callable[[pathlib.Path], Any]) -> None:
    folder, addresses, ended = lonely[index]
    assert ended.code == exit_codes.PEER_LOST
    assert ended.seconds < 60  # 2 s and TensorFlow's import.
    missing = f"worker {1 - index} ({addresses[1 - index]}{', the chief' if index else ''}) did not appear"
    assert ended.err.startswith(f"reglab: {missing}") and "within 2 s" in ended.err and ended.err.count("\n") == 1
    assert ended.out == "" and tree(folder) == {}
