"""What only a real Slurm shows: BUILD.md's batch script, signals, and commands started once for every task.

The two nodes share this machine's ports, so the workers of every step have to agree on others than those they derive.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.slurm.local import lacking, slurm

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 400  # Seconds for what takes thirty where nothing else runs.
FLAGS = ["--hidden=4", "--l1=1e-3", "--epochs=20", "--evaluate_every=10", "--checkpoint_every=50", "--nojit",
         "--rendezvous_timeout=200"]
STEPS = 20 * 34


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """That of a user on a cluster of two nodes, whose `python` is this one."""
    if reason := lacking():
        pytest.skip(reason)
    programs = tmp_path_factory.mktemp("programs")
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "PYTHON", "SLURM_"))}
    with slurm(nodes=2) as found:
        yield kept | found | {"PYTHONPATH": str(ROOT), "PATH": f"{programs}:{os.environ['PATH']}"}


class Ended:
    """How a command ended: its exit code and what it printed."""

    def __init__(self, command: list[str], folder: pathlib.Path, environment: dict[str, str]) -> None:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr


def wait_until(holds: Callable[[], object], about: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, about()
        time.sleep(0.1)


def wait_until_gone(job: str, folder: pathlib.Path, environment: dict[str, str],
                    about: Callable[[], str] = str) -> None:
    """Waits until a job has ended and is not to start again; `sbatch --wait` looks only twice a minute."""
    wait_until(lambda: not Ended(["squeue", "-h", "-j", job], folder, environment).out.strip(), about)


def result(folder: pathlib.Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return read


def batch_script() -> str:
    """The one in BUILD.md."""
    found = re.search(r"^    #!/bin/bash\n(?:    .*\n|\n)+", (ROOT / "BUILD.md").read_text(), re.MULTILINE)
    assert found is not None
    return textwrap.dedent(found[0])


@pytest.fixture(scope="module")
def undisturbed(environment, tmp_path_factory):
    """A run of two tasks on two nodes, and its folder."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = Ended(["srun", "-l", "-N2", "-n2", "python", "-m", "reglab.train", *FLAGS, "--model_dir=run"], folder,
                  environment)
    assert ended.code == 0, ended.err
    return ended, folder / "run"


def test_the_tasks_of_a_step_train_together_though_their_ports_are_the_same(undisturbed):
    ended, folder = undisturbed
    devices = result(folder)["strategy"]["devices"]
    places = [re.fullmatch(r"(127\.0\.0\.\d):(\d+)/CPU:0", device) for device in devices]
    assert [place and place[1] for place in places] == ["127.0.0.1", "127.0.0.2"]
    assert len({place and place[2] for place in places}) == 2
    assert not [line for line in ended.out.splitlines() if not line.startswith("0: ")], "the chief alone shows progress"


def test_the_batch_script_goes_on_by_itself_after_signals(environment, undisturbed, tmp_path):
    """Two signals, as Slurm sends them, to both tasks; then the script requeues itself, and the job completes."""
    (tmp_path / "train.sh").write_text(batch_script())
    ended = Ended(["sbatch", "--parsable", "train.sh", *FLAGS], tmp_path, environment)
    job = ended.out.strip()
    log, folder = tmp_path / f"train-{job}.log", tmp_path / f"run-{job}"

    def printed() -> str:
        return log.read_text() if log.exists() else ended.err

    wait_until(lambda: list(folder.glob("checkpoints/ckpt-*.index")), printed)
    for _ in range(2):
        assert Ended(["scancel", "--signal=TERM", job], tmp_path, environment).code == 0
    wait_until_gone(job, tmp_path, environment, printed)
    text = printed()
    stopped = re.findall(r"^reglab: stopped by (.*) after step (\d+), (saved|nothing saved)", text, re.MULTILINE)
    assert len(stopped) == 2 and {how for *_, how in stopped} == {"saved"}, text
    (step,) = {int(step) for _, step, _ in stopped}
    assert 0 < step < STEPS
    assert f"Resumed after step {step} of {STEPS}." in text
    ours, theirs = result(folder), result(undisturbed[1])
    assert ours["resumed_from"] == step
    assert {name: ours[name] for name in ("steps", "train", "validation")} == {
        name: theirs[name] for name in ("steps", "train", "validation")}


def test_a_command_of_one_process_works_once(environment, tmp_path):
    ended = Ended(["srun", "-N2", "-n2", "python", "-m", "reglab.compare", "--hidden=4", "--l1=1e-3", "--seeds=1",
                   "--epochs=1", "--nojit", "--model_dir=compared", "--json"], tmp_path, environment)
    assert ended.code == 0, ended.err
    assert len(json.loads(ended.out)["arms"]) == 2, "one object, of the arms without and with the penalty"
    assert [line for line in ended.err.splitlines() if line.startswith("reglab: ")] == [
        "reglab: reglab.compare works in one process, so worker 0 of the 2 does it and the others end; unset "
        "SLURM_JOB_ID for tasks that are to work apart"]
    assert [path.name for path in tmp_path.iterdir()] == ["compared"]


def test_without_srun_a_run_says_that_it_is_one_of_several_tasks(environment, tmp_path):
    command = "python -m reglab.train --dry_run --hidden=4"
    ended = Ended(["sbatch", "--parsable", "--ntasks=3", "--output=log", f"--wrap={command}"], tmp_path, environment)
    wait_until_gone(ended.out.strip(), tmp_path, environment)
    assert (tmp_path / "log").read_text().splitlines()[0] == (
        "reglab: trains alone, as one of the 3 tasks of the Slurm job: start it with srun to train on all of them")
