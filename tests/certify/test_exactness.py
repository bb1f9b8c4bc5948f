"""Replicas against one device: 1, 2 and 4 on a split CPU, two workers, and programs that are wrong on purpose."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from reglab.certify import exactness
from reglab.config import Config
from reglab.inputs import exit_codes

ROOT = pathlib.Path(__file__).parents[2]
WORKER = ROOT / "tests" / "replica_worker.py"
# Layers are summed over workers as over replicas of one: two workers need no hidden layer, whose programs take longer.
FLAGS = ["--train_size=1003", "--batch_size=100", "--l1=1e-3", "--l2=1e-3", "--clip_norm=1", "--hidden="]
QUANTITIES = {"weights", "optimizer", "losses", "reports", "evaluations"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """A Python process with the environment of a user, in a session of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "PYTHON"))}
    path = os.pathsep.join((str(ROOT), str(WORKER.parent)))
    return subprocess.run([sys.executable, *command], env=kept | {"PYTHONPATH": path}, capture_output=True, text=True,
                          timeout=600)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `certify` said of each number of replicas and of each wrong program, in one process of 4 CPUs."""
    folder = tmp_path_factory.mktemp("exactness")
    done = run(str(WORKER), "exactness", str(folder))
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "exactness0.json").read_text())


def test_the_cases_are_those_in_which_replicas_differ_if_they_can() -> None:
    config = Config(clip_norm=1.0, batch_size=100, schedule="cosine", model_dir="run")
    cases = {name: (chosen, steps) for name, chosen, steps in exactness.cases(config, 4)}
    assert all(chosen.precision == "float64" and chosen.model_dir is None for chosen, _ in cases.values())
    assert {(chosen.optimizer, chosen.batch_size, chosen.clip_norm, steps) for chosen, steps in cases.values()} == {
        ("adam", 100, 1.0, 200), ("sgd", 100, 1.0, 200), ("sgd", 100, None, 1), ("adam", 3, 1.0, 200)}
    assert cases["gradient of the total"][0].learning_rate == 1
    assert len(list(exactness.cases(config, 1))) == 3, "no batch is smaller than one replica"


@pytest.mark.parametrize("count", [1, 2, 4])
def test_mirrored_replicas_compute_what_one_device_computes(verdicts: dict[str, Any], count: int) -> None:
    found = verdicts[f"{count} replicas"]
    assert found["code"] == exit_codes.SUCCESS, found["err"]
    assert_exact(json.loads(found["out"]), count, workers=1, strategy="mirrored", cases={1: 3, 2: 2, 4: 4}[count])


def test_two_workers_compute_what_one_device_computes_and_the_chief_alone_says_so() -> None:
    """By XLA in two of four cases, of which two replicas of one process do the others; four do all, without XLA."""
    done = run("-m", "reglab.launch", "--module=replica_worker", "--", "certify", "replicas", *FLAGS, "--json")
    assert done.returncode == exit_codes.SUCCESS, done.stderr
    assert_exact(json.loads(done.stdout), 2, workers=2, strategy="multi_worker", cases=2)
    assert all(line.startswith("[0] ") for line in done.stderr.splitlines())


def assert_exact(verdict: dict[str, Any], count: int, workers: int, strategy: str, cases: int) -> None:
    assert (verdict["replicas"], verdict["workers"], verdict["strategy"]) == (count, workers, strategy)
    assert len(verdict["cases"]) == cases
    for differences in verdict["cases"].values():
        assert set(differences) == QUANTITIES
        assert all(0 <= difference <= 1e-12 for difference in differences.values())
    assert verdict["largest_difference"] == max(max(of.values()) for of in verdict["cases"].values())
    assert verdict["exact"] is True


@pytest.mark.parametrize(("wrong", "of", "cases"), [
    ("penalty of each replica", "weights", {"gradient", "adam, batch 100", "sgd", "adam, batch 1 "}),
    ("mean of means", "weights", {"adam, batch 100", "sgd", "adam, batch 1 "}),  # The first batch is shared evenly.
    ("loss of one replica", "losses", {"gradient", "adam, batch 100", "sgd", "adam, batch 1 "}),
])
def test_a_wrong_program_fails_in_the_cases_that_show_it(verdicts: dict[str, Any], wrong: str, of: str,
                                                        cases: set[str]) -> None:
    found = verdicts[wrong]
    assert found["code"] == exit_codes.VERDICT_FAILED == 4
    verdict = json.loads(found["out"])
    assert verdict["exact"] is False
    failed = {case for case, differences in verdict["cases"].items() if differences[of] > 1e-5}
    assert len(failed) == len(cases) and all(any(case.startswith(start) for start in cases) for case in failed)
    lines = found["err"].splitlines()
    assert all(any(f"NOT EQUAL {case}: " in line for line in lines) for case in failed)
    assert lines[-1].startswith("NOT EXACT: the largest relative difference is ")


@pytest.mark.parametrize(("flag", "said"), [
    ("--num_devices=5", "--num_devices=5, but there are only 4 CPUs"),
    ("--cpu_devices=3", "--cpu_devices=3, but TensorFlow already runs with 4"),
])
def test_devices_that_do_not_exist_are_refused(verdicts: dict[str, Any], flag: str, said: str) -> None:
    found = verdicts[flag]
    assert (found["code"], found["out"]) == (exit_codes.BAD_INPUT, "")
    assert found["err"].startswith(f"reglab: {said}") and found["err"].count("\n") == 1


def test_nan_is_no_rounding() -> None:
    finding = exactness.Finding("case", {"weights": float("nan"), "losses": 0.0})
    assert finding.largest == float("inf") and not finding.exact
    assert exactness.Finding("case", {"weights": 1e-12}).exact
    assert not dataclasses.replace(finding, differences={"weights": 1.1e-12}).exact
