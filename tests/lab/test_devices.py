"""Lanes spread over two logical CPUs: the numbers of one, to the bit, and a header that says where they run.

In a process of its own, where the CPU can be split before TensorFlow starts.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parents[2]

WORKER = """
import dataclasses, hashlib, json, sys
from unittest import mock
from reglab.engine.startup import quiet_tensorflow
tf = quiet_tensorflow(whole_process=True)
sys.path.insert(0, "tests")
from conftest import made_dataset
import numpy as np
from reglab.config import Config
from reglab.console import Console
from reglab.compare.experiment import compare
from reglab.engine import placement
from reglab.engine.sharing import shared_programs
from reglab.lab.grid import Grid
from reglab.lab.lanes import Lane, LaneTrainer
from reglab.sweep import outputs, path_results
from reglab.sweep.experiment import sweep
from reglab.sweep.pathway import path

dataset, folder, found = made_dataset(), sys.argv[1], {}
other = dataclasses.replace(dataset, train=dataset.train.take(np.arange(53)[::-1]))
BASE = Config(hidden=(5,), batch_size=8, epochs=2, l1=1e-3, l2=1e-3, learning_rate=0.02, cpu_devices=2)
LANES = [Lane(l1=0.01 * i, learning_rate=0.01 * (1 + i), seed=i) for i in range(5)]

class Heard(Console):
    def header(self, facts):
        found.setdefault("headers", []).append(facts["Device"])

def digest(curves):
    arrays = [curves.train, curves.validation, curves.weights, curves.parameters]
    return hashlib.sha256(b"".join(a.tobytes() for a in tf.nest.flatten(arrays))).hexdigest()

def of_lanes(config, size):
    with mock.patch.object(placement.LanePlacement, "group_size", lambda self, lanes, bytes_each: size):
        trainer = LaneTrainer(config, dataset, 5)
        digests = [digest(trainer.train(LANES))]
        trainer.use_data(other)
        digests.append(digest(trainer.train(LANES[::-1])))
    groups = trainer._groups.trainings
    where = [sorted({tf.DeviceSpec.from_string(v.device).device_index for v in tf.nest.flatten(
        (t.state, t._resident, t._call_run(t._arguments(0, 0, 0))))}) for t in groups]
    return {"digests": digests, "where": where, "traced": groups[0].program.run.experimental_get_tracing_count()}

with mock.patch.object(placement, "usable_cores", lambda: 2):
    for name, fields in {"float32": {}, "cnn": {"model": "cnn", "dropout": 0.5, "jit": False,
                                              "precision": "float64"}}.items():
        if name == "cnn":
            dataset = dataclasses.replace(dataset, input_shape=(6, 6, 1), train=dataclasses.replace(
                dataset.train, x=np.repeat(dataset.train.x, 6, 1)), validation=dataclasses.replace(
                dataset.validation, x=np.repeat(dataset.validation.x, 6, 1)))
            other = dataset
        found[name] = [of_lanes(dataclasses.replace(BASE, num_devices=count, **fields), 2) for count in (1, None)]
dataset = made_dataset()
# What XLA compiles is compared above, and pictures are of these numbers.
with (mock.patch.object(placement, "usable_cores", lambda: 2), shared_programs(),
      mock.patch.object(outputs, "sweep_pictures", lambda *_: None),
      mock.patch.object(path_results.plots, "path_picture", lambda *_: None)):
    for count in (1, 2):
        config = dataclasses.replace(BASE, num_devices=count, jit=False)
        result = compare(config, 2, dataset, console=Heard()).result
        swept = sweep(dataclasses.replace(config, model_dir=f"{folder}/sweep{count}"), Grid(l1=(0.0, 0.01, 0.1)),
                      seeds=2, data=dataset, console=Heard())
        walked = path(dataclasses.replace(config, model_dir=f"{folder}/path{count}"), Grid(l1=(1e-3, 1e-2)), seeds=2,
                      data=dataset, console=Heard())
        found[f"commands {count}"] = [result["arms"], swept.result, walked.result]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", WORKER, str(tmp_path_factory.mktemp("devices"))], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("case", ["float32", "cnn"])
def test_two_devices_give_the_bits_of_one(found: dict[str, Any], case: str) -> None:
    """In groups of the same size, with other data and other lanes afterwards too."""
    one, two = found[case]
    assert two["digests"] == one["digests"] and len(set(one["digests"])) == 2
    assert one["where"] == [[0], [0], [0]]
    assert two["where"] == [[0], [1], [0]], "state, data and results of a group"
    assert one["traced"] == two["traced"] == 1


def test_compare_sweep_and_path_tell_the_same_numbers(found: dict[str, Any]) -> None:
    assert found["commands 1"] == found["commands 2"]


def test_the_header_says_where_lanes_run(found: dict[str, Any]) -> None:
    assert not any("lanes on" in text for text in found["headers"][:3])
    assert all(text.endswith(", float32, lanes on CPU:0 and CPU:1") for text in found["headers"][3:])
    assert len(found["headers"]) == 6
