"""`TF_CONFIG` as it is really set."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reglab.cluster import Cluster, cluster_from_environment, own_gpus
from reglab.cluster.tf_config import cluster_from_tf_config
from reglab.config import ConfigError


def environ(cluster: Any, task: Any, **more: Any) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task, **more})}


def tfjob(kind: str, *numbers: int) -> list[str]:
    """Addresses as Kubeflow's training-operator makes them: its headless services, port 2222."""
    return [f"digits-{kind}-{i}.lab.svc:2222" for i in numbers]


REAL = {
    "Kubeflow, chief and workers, a worker": (
        environ({"chief": tfjob("chief", 0), "worker": tfjob("worker", 0, 1)}, {"type": "worker", "index": 1},
                environment="cloud"),
        (*tfjob("chief", 0), *tfjob("worker", 0, 1)), 2),
    "Kubeflow, chief and workers, the chief; the order of the keys does not matter": (
        environ({"worker": tfjob("worker", 0, 1), "chief": tfjob("chief", 0)}, {"type": "chief", "index": 0},
                environment="cloud"),
        (*tfjob("chief", 0), *tfjob("worker", 0, 1)), 0),
    "Kubeflow, workers alone": (
        environ({"worker": tfjob("worker", 0, 1, 2)}, {"type": "worker", "index": 0}, environment="cloud"),
        tuple(tfjob("worker", 0, 1, 2)), 0),
    "an old operator, whose chief is the master": (
        environ({"master": tfjob("master", 0), "worker": tfjob("worker", 0), "ps": []}, {"type": "worker", "index": 0}),
        (*tfjob("master", 0), *tfjob("worker", 0)), 1),
    "an index as text, as shell scripts write it, and IPv6": (
        environ({"worker": ["[fd00::1]:12345", "[fd00::2]:12345"]}, {"type": "worker", "index": "1"}, rpc_layer="grpc"),
        ("[fd00::1]:12345", "[fd00::2]:12345"), 1),
    "two workers on one host, and a Slurm job around them": (
        environ({"worker": ["localhost:20001", "localhost:20002"]}, {"type": "worker", "index": 1})
        | {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "nonsense"},
        ("localhost:20001", "localhost:20002"), 1),
}


@pytest.mark.parametrize("variables, addresses, index", REAL.values(), ids=REAL)
def test_real_values(variables, addresses, index):
    cluster = cluster_from_environment(variables)
    assert cluster == Cluster(addresses, index, "TF_CONFIG")
    assert (cluster.size, cluster.is_chief, cluster.address) == (len(addresses), index == 0, addresses[index])


@pytest.mark.parametrize("variables, _, index", REAL.values(), ids=REAL)
def test_what_tensorflow_is_given_means_the_same(variables, _, index):
    cluster = cluster_from_environment(variables)
    again = json.loads(cluster.tf_config())
    assert again["task"] == {"type": "worker", "index": index}
    assert cluster_from_environment({"TF_CONFIG": cluster.tf_config()}) == cluster


@pytest.mark.parametrize("text", [
    "", " ", "{}", '{"cluster": {}}', '{"cluster": {}, "task": {"type": "worker", "index": 0}, "environment": "cloud"}',
    '{"task": {"type": "worker", "index": 0}}', '{"cluster": {"worker": []}, "task": {}}',
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
    '{"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": 0}}'])
def test_nobody_else_is_no_cluster(text):
    assert cluster_from_environment({"TF_CONFIG": text}) is None


TWO = {"worker": ["a:1", "b:1"]}
WORKER = {"type": "worker", "index": 0}


@pytest.mark.parametrize("variables, said", [
    ({"TF_CONFIG": '{"cluster": \n{"worker": ['}, 'has {"cluster": {"worker": [, which is not JSON ('),
    ({"TF_CONFIG": "[1]"}, 'has [1]: give an object such as {"cluster": {"worker": ["host0:2222", "host1:2222"]}'),
    (environ(["a:1", "b:1"], WORKER), 'has "cluster": ["a:1", "b:1"]: give an object such as'),
    (environ({"worker": "a:1"}, WORKER), 'has "worker": a:1: list the addresses, "worker": ["host:2222"]'),
    (environ({"worker": {"0": "a:1"}}, WORKER), 'has "worker": {"0": "a:1"}: list the addresses'),
    (environ(TWO, None), 'has no task: say which worker this process is, "task": {"type": "worker", "index": 0}'),
    ({"TF_CONFIG": json.dumps({"cluster": TWO})}, "has no task: "),
    (environ(TWO, {"type": "worker"}), 'has "task": {"type": "worker"}: say which worker this process is'),
    (environ(TWO, {"type": "worker", "index": 2}), "has the task worker 2, but 2 tasks of that type: give an index from"
     " 0 to 1"),
    (environ(TWO, {"type": "worker", "index": -1}), "has the task worker -1, but 2 tasks"),
    (environ(TWO, {"type": "worker", "index": None}), "has the task worker null, but 2 tasks"),
    (environ(TWO, {"type": "chief", "index": 0}), 'has the task chief 0, but 0 tasks of that type: list its address '
     'under "cluster" as "chief"'),
    (environ({"worker": ["a:1", "a:1"]}, WORKER), "has the address a:1 2 times: give each worker a port of its own"),
    (environ({"chief": ["a:1"], "worker": ["a:1"]}, WORKER), "has the address a:1 2 times"),
    (environ({"worker": ["a", "b:1"]}, WORKER), "has the address a: give host:port"),
    (environ({"worker": ["a:0", "b:1"]}, WORKER), "has the address a:0: give host:port"),
    (environ({"worker": ["a:70000", "b:1"]}, WORKER), "has the address a:70000: give host:port"),
    (environ({"worker": [":1", "b:1"]}, WORKER), "has the address :1: give host:port"),
    (environ({"chief": ["a:1", "b:1"]}, {"type": "chief", "index": 0}), "has 2 chiefs (a:1, b:1): name one, and make"
     " the others workers"),
    (environ({**TWO, "ps": ["c:1"]}, WORKER), "has a task of type ps: reglab trains synchronously, without parameter "
     "servers: leave out the ps tasks"),
    (environ({**TWO, "ps": ["c:1"]}, {"type": "ps", "index": 0}), "has a task of type ps: "),
    (environ(TWO, {"type": "evaluator", "index": 0}), "has a task of type evaluator: the workers evaluate themselves"),
    (environ({**TWO, "google": ["c:1"]}, WORKER), "has a task of type google: use the types chief and worker"),
    (environ(TWO, {"type": ["worker"], "index": 0}), 'has a task of type ["worker"]: use the types'),
    ({"TF_CONFIG": '{"sparseCluster":{"worker":{"0":"a:1"},"ps":[]},"task":{"type":"worker","index":0}}'},
     'has a "sparseCluster": the number of workers is fixed in a run: switch enableDynamicWorker off'),
])
def test_mistakes_are_one_clear_line(variables, said):
    with pytest.raises(ConfigError) as caught:
        cluster_from_environment(variables)
    assert str(caught.value).startswith(f"TF_CONFIG {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text, said", [
    ("[" * 100_000, "which is not JSON ("), ('{"cluster":' * 10_000, "which is not JSON ("), ("9" * 5000, "not JSON ("),
    (json.dumps({"cluster": {"worker": [f"h{i}:1" for i in range(20_000)]}, "task": WORKER}),
     "has 20,000 workers: give at"),
    (" " * 2**21, "2,097,152 characters"),
    (environ({"worker": ["a\n:1", "b:1"]}, WORKER)["TF_CONFIG"], r"address a\n:1: give"),
    (environ(TWO, {"type": "worker", "index": "9" * 5000})["TF_CONFIG"], "has the task worker 999"),
])
def test_values_of_any_size_are_one_line(text, said):
    with pytest.raises(ConfigError) as caught:
        cluster_from_tf_config(text)
    assert said in str(caught.value)
    assert str(caught.value).isprintable() and len(str(caught.value)) <= 500


@pytest.mark.parametrize("addresses, index, rank_and_size", [
    (("a:1", "b:1", "a:2"), 2, (1, 2)), (("a:1", "b:1", "a:2"), 1, (0, 1)), (("[::1]:1", "[::1]:2"), 1, (1, 2))])
def test_place_on_the_host(addresses, index, rank_and_size):
    cluster = Cluster(addresses, index, "TF_CONFIG")
    assert (cluster.local_rank, cluster.local_size) == rank_and_size


@pytest.mark.parametrize("addresses, index, visible, expected", [
    (("a:1", "b:1"), 1, 4, [0, 1, 2, 3]),
    (("a:1", "a:2"), 0, 4, [0, 1]),
    (("a:1", "a:2"), 1, 4, [2, 3]),
    (("a:1", "a:2"), 1, 3, [1]),  # every worker the same number, as the collectives want it
    (("a:1", "a:2"), 1, 0, []),
])
def test_workers_of_a_host_share_its_gpus(addresses, index, visible, expected):
    assert list(own_gpus(Cluster(addresses, index, "TF_CONFIG"), {}, visible)) == expected


def test_more_workers_than_gpus():
    with pytest.raises(ConfigError, match=r"^TF_CONFIG puts 2 workers on a host where 1 GPUs are visible: start at"):
        own_gpus(Cluster(("a:1", "a:2"), 0, "TF_CONFIG"), {}, 1)
