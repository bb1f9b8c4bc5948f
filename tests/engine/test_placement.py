"""Which devices runs and lanes get: what is requested, what exists, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import types
from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

from reglab import train
from reglab.certify import __main__ as certify
from reglab.cluster import Cluster, RendezvousError, find_cluster
from reglab.config import Config, ConfigError
from reglab.engine import placement, strategies
from reglab.engine.placement import LanePlacement, place_lanes, place_run
from reglab.inputs import exit_codes

TWO_WORKERS = json.dumps({"cluster": {"worker": ["127.0.0.1:20001", "127.0.0.1:20002"]},
                          "task": {"type": "worker", "index": 1}})
ONE_WORKER = json.dumps({"cluster": {"worker": ["127.0.0.1:20001"]}, "task": {"type": "worker", "index": 0}})


@pytest.fixture(autouse=True)
def started_tensorflow() -> None:
    """Ensures one CPU; certify/test_exactness.py and test_replicas.py cover processes whose CPU is split."""
    assert len(tf.config.list_logical_devices()) == 1


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", TWO_WORKERS)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """Simulates two GPUs; collects devices and `cross_device_ops` of the strategies created."""
    made: list[tuple[Any, Any]] = []

    def strategy(devices: list[str], cross_device_ops: Any = None) -> Any:
        made.append((devices, cross_device_ops))
        return types.SimpleNamespace(num_replicas_in_sync=len(devices))

    gpus = ["GPU:0", "GPU:1"]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus if kind == "GPU" else ["CPU:0"])
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus if kind == "GPU" else ["CPU:0"])
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", strategy)
    return made


# The cluster.

def test_auto_and_multi_worker_take_the_cluster_of_the_environment(cluster: None) -> None:
    for name in ("auto", "multi_worker"):
        assert find_cluster(Config(strategy=name)) == Cluster(("127.0.0.1:20001", "127.0.0.1:20002"), 1,
                                                                         "TF_CONFIG")


def test_one_device_and_mirrored_leave_it_alone(cluster: None) -> None:
    for name in ("one_device", "mirrored"):
        assert find_cluster(Config(strategy=name)) is None


@pytest.mark.parametrize("text", [None, ONE_WORKER])
def test_multi_worker_wants_two_workers(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    assert find_cluster(Config()) is None
    with pytest.raises(ConfigError, match="finds no cluster of two workers"):
        find_cluster(Config(strategy="multi_worker"))


def test_workers_tell_one_another_what_they_run(cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where they keep things, and on which devices, may differ."""
    digests: list[str] = []

    def wait(cluster: Cluster, timeout: float, digest: str, *rest: object) -> None:
        digests.append(digest)
        raise RendezvousError

    monkeypatch.setattr(strategies, "wait_for_peers", wait)
    config = Config()
    others = ({}, {"model_dir": "a", "data_dir": "b", "rendezvous_timeout": 5.0}, {"l1": 1e-3}, {"seed": 1})
    for fields in others:
        changed = dataclasses.replace(config, **fields)
        with pytest.raises(RendezvousError):
            place_run(changed, find_cluster(changed))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


# Devices of one machine.

def test_one_cpu_is_one_device() -> None:
    for name in ("auto", "one_device"):
        replicas = place_run(Config(strategy=name), None)
        assert (replicas.name, replicas.count, replicas.devices) == ("one_device", 1, ())


def test_mirrored_on_one_device_is_a_strategy_of_one_replica() -> None:
    replicas = place_run(Config(strategy="mirrored"), None)
    assert (replicas.name, replicas.count, replicas.devices) == ("mirrored", 1, ("CPU:0",))


def test_auto_takes_all_gpus(two_gpus: list[Any]) -> None:
    replicas = place_run(Config(), None)
    assert (replicas.name, replicas.count, replicas.devices) == ("mirrored", 2, ("GPU:0", "GPU:1"))
    assert two_gpus == [(["GPU:0", "GPU:1"], None)], "and TensorFlow takes NCCL"


@pytest.mark.parametrize("fields", [{"num_devices": 1}, {"strategy": "one_device"}])
def test_one_of_two_gpus(two_gpus: list[Any], fields: dict[str, Any]) -> None:
    assert place_run(Config(**fields), None).name == "one_device"
    assert two_gpus == []


def test_three_of_two_gpus(two_gpus: list[Any]) -> None:
    with pytest.raises(ConfigError, match=r"--num_devices=3, but there are only 2 GPUs: ask for at most that$"):
        place_run(Config(num_devices=3), None)


# Lanes.

@pytest.mark.parametrize(("cores", "groups_each"), [(1, 1), (2, 2), (8, 8)])
def test_every_core_of_a_cpu_takes_a_group_of_lanes(monkeypatch: pytest.MonkeyPatch, cores: int,
                                                    groups_each: int) -> None:
    monkeypatch.setattr(placement, "usable_cores", lambda: cores)
    found = place_lanes(Config())
    assert found == LanePlacement(("CPU:0",), groups_each, placement.CACHE_BYTES)
    assert found.at_work == cores
    assert [found.device_of(group) for group in range(3)] == [None] * 3, "where TensorFlow runs all else"
    assert found.describe() == ""


@pytest.mark.parametrize(("fields", "devices"), [
    ({}, ["GPU:0", "GPU:1"]), ({"strategy": "one_device"}, ["GPU:0", "GPU:1"]), ({"num_devices": 1}, ["GPU:0"])])
def test_lanes_take_all_gpus_or_as_many_as_are_asked_for(two_gpus: list[Any], fields: dict[str, Any],
                                                         devices: list[str]) -> None:
    found = place_lanes(Config(**fields))
    assert (found.devices, found.groups_each, found.state_bytes) == (tuple(devices), 1, None)
    assert two_gpus == [], "a strategy is for replicas"


def test_more_gpus_than_there_are_for_lanes(two_gpus: list[Any]) -> None:
    with pytest.raises(ConfigError, match=r"--num_devices=3, but there are only 2 GPUs: ask for at most that$"):
        place_lanes(Config(num_devices=3))


@pytest.mark.parametrize(("devices", "lanes", "size"), [(1, 16, 16), (2, 16, 8), (2, 15, 8), (4, 2, 1), (3, 16, 6)])
def test_each_gpu_takes_one_group_of_its_share_of_the_lanes(devices: int, lanes: int, size: int) -> None:
    found = LanePlacement(tuple(f"GPU:{i}" for i in range(devices)))
    assert found.group_size(lanes, 10**9) == size
    assert -(-lanes // size) <= devices


def test_group_after_group_goes_to_the_next_device() -> None:
    found = LanePlacement(("CPU:0", "CPU:1"), 2, 400)
    assert [found.device_of(group) for group in range(4)] == ["CPU:0", "CPU:1", "CPU:0", "CPU:1"]
    assert found.at_work == 4
    assert found.group_size(8, 1) == 2, "all four at work"
    assert found.group_size(100, 10) == 9, "in three rounds, of at most ten in the cache"
    assert found.group_size(3, 1000) == 1
    assert found.describe() == ", lanes on CPU:0 and CPU:1"


# What is refused, as the user sees it.

REFUSED = {
    "--num_devices=2": (None, "--num_devices=2, but there is only 1 CPU: ask for at most that, or split the CPU"),
    "--strategy=mirrored --num_devices=9": (None, "--num_devices=9, but there is only 1 CPU"),
    "--strategy=multi_worker": (ONE_WORKER, "--strategy=multi_worker finds no cluster"),
    "--cpu_devices=3": (None, "--cpu_devices=3, but TensorFlow already runs with 1: start a new process"),
    "--strategy=auto": ("{", "TF_CONFIG"),
    "--strategy=auto --seed=1": ('{"cluster": {"worker": ["a", "b"]}, "task": {"type": "worker", "index": 0}}',
                                 "TF_CONFIG has the address a"),
    "--strategy=auto --seed=2": (TWO_WORKERS.replace("1}", "2}"), "TF_CONFIG has the task worker 2, but 2 tasks"),
    "--num_devices=2 --seed=1": (TWO_WORKERS, "--num_devices=2, but this worker has 1"),
}


@pytest.mark.parametrize("line", REFUSED)
@pytest.mark.parametrize("command", [train.main, lambda argv: certify.main(["replicas", *argv])],
                         ids=["train", "certify"])
def test_the_impossible_is_code_2_and_one_line_and_writes_nothing(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
        tree: Callable[[pathlib.Path], Any], command: Callable[[list[str]], int], line: str) -> None:
    text, said = REFUSED[line]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    assert command(line.split()) == exit_codes.BAD_INPUT == 2
    out, err = capfd.readouterr()
    assert out == "" and err.startswith(f"reglab: {said}") and err.count("\n") == 1
    assert tree(tmp_path) == {}
