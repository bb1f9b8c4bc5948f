"""What replicas do to arrays, on one device, on a split CPU and on two workers; and checkpoints that change hands."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.engine.replicas import Replicas

ROOT = pathlib.Path(__file__).parents[2]
WORKER = ROOT / "tests" / "replica_worker.py"


def run(*command: str) -> None:
    """Runs a Python process with a user's environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "PYTHON"))}
    path = os.pathsep.join((str(ROOT), str(WORKER.parent)))
    done = subprocess.run([sys.executable, *command], env=kept | {"PYTHONPATH": path}, capture_output=True, text=True,
                          timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of a process with 4 replicas."""
    folder = tmp_path_factory.mktemp("mirrored")
    run(str(WORKER), "distribution", str(folder))
    return json.loads((folder / "distribution0.json").read_text())


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The results of each of two workers."""
    folder = tmp_path_factory.mktemp("workers")
    run("-m", "reglab.launch", "--module=replica_worker", "--", "worker", str(folder))
    return [json.loads((folder / f"worker{i}.json").read_text()) for i in range(2)]


def test_one_device_is_a_replica_of_its_own() -> None:
    replicas = Replicas()
    assert (replicas.count, replicas.workers, replicas.is_chief, replicas.name) == (1, 1, True, "one_device")
    arrays = {"a": tf.constant([1.0, 2.0])}
    assert replicas.sum(arrays) is arrays and replicas.first(arrays) is arrays
    assert replicas.run(lambda a, b: a + b, 1, 2) == 3
    assert replicas.index() == 0
    assert replicas.everywhere(arrays)["a"].numpy().tolist() == [1, 2]
    assert replicas.gather_numbers(3, True).tolist() == [[3, 1]]
    mine = [np.zeros(2)]
    assert replicas.from_chief(mine) is mine


def test_on_one_device_the_program_is_compiled_whole_and_its_pieces_are_not() -> None:
    def double(x: tf.Tensor) -> tf.Tensor:
        return 2 * x
    assert Replicas().piece(double, jit=True) is double
    program = Replicas().program(double, jit=True)
    assert program(tf.constant(2)).numpy() == 4
    assert program.experimental_get_compiler_ir(tf.constant(2))(stage="hlo")


def test_a_sum_over_replicas_is_one_all_reduce_for_each_dtype(mirrored: dict[str, Any]) -> None:
    assert mirrored["arrays"] == {"calls": ["float64", "int64"], "matrix": [[6] * 3] * 2, "scalar": 60, "whole": [6, 6],
                                  "empty": []}
    assert mirrored["devices"] == ["CPU:0", "CPU:1", "CPU:2", "CPU:3"]


def test_a_sum_over_workers_is_one_all_reduce_for_each_dtype(workers: list[dict[str, Any]]) -> None:
    for worker in workers:
        assert worker["arrays"] == {"calls": ["float64", "int64"], "matrix": [[1] * 3] * 2, "scalar": 10,
                                    "whole": [1, 1], "empty": []}
        assert worker["devices"] == workers[0]["devices"] and len(set(worker["devices"])) == 2


def test_every_worker_gets_the_numbers_of_all(workers: list[dict[str, Any]], mirrored: dict[str, Any]) -> None:
    assert [worker["numbers"] for worker in workers] == [[[0, 0.1], [1, 0.1]]] * 2
    assert mirrored["numbers"] == [[3, 4]]


def test_every_worker_gets_the_arrays_of_the_chief_bit_by_bit(workers: list[dict[str, Any]]) -> None:
    assert [worker["from chief"] for worker in workers] == [True, True]


@pytest.mark.parametrize(("before", "after"), [(2, 1), (2, 4), (1, 2)])
def test_a_run_goes_on_with_another_number_of_replicas(mirrored: dict[str, Any], before: int, after: int) -> None:
    """In float64 the weights equal those of an uninterrupted run on one device, so the order of the data was kept."""
    found = mirrored[f"{before} to {after}"]
    assert found["difference"] <= 1e-12
    assert found["resumed"] == found["stopped"] and 50 <= found["stopped"] < found["steps"] == 99


@pytest.mark.parametrize("mode", ["skip", "restore"])
def test_replicas_leave_out_what_one_device_does(mirrored: dict[str, Any], mode: str) -> None:
    """It does not matter which replica has the example that is not finite: the sum decides."""
    found = mirrored["left out"][mode]
    assert found["difference"] <= 1e-12
    assert found["counted"][0] == found["counted"][1]
    assert found["counted"][0]["left_out"] >= 3 and found["counted"][0]["restores"] == (3 if mode == "restore" else 0)


def test_replicas_have_the_zeros_of_one_device(mirrored: dict[str, Any]) -> None:
    found = mirrored["proximal"]
    assert found["difference"] <= 1e-12 and found["same zeros"] and 0.2 < found["zeros"] < 0.9


def test_the_result_says_what_ran(mirrored: dict[str, Any]) -> None:
    found = mirrored["1 to 2"]
    assert found["strategy"] == {"name": "mirrored", "replicas": 2, "workers": 1, "devices": ["CPU:0", "CPU:1"],
                                 "collective": "a sum on the first device"}
    assert found["xla"] is None
