"""Slurm's variables, in the environments that `srun`, `sbatch` and `salloc` make."""

from __future__ import annotations

import pytest

from reglab.cluster import Cluster, cluster_from_environment, own_gpus
from reglab.cluster.slurm import expand_counts, expand_nodes
from reglab.config import ConfigError

# A job of `sbatch --nodes=2 --ntasks-per-node=2 --gres=gpu:4`: what its batch script sees.
BATCH = {
    "SLURM_JOB_ID": "2193449", "SLURM_JOBID": "2193449", "SLURM_JOB_NAME": "digits", "SLURM_CLUSTER_NAME": "ada",
    "SLURM_JOB_NODELIST": "gnode[09-10]", "SLURM_NODELIST": "gnode[09-10]", "SLURM_JOB_NUM_NODES": "2",
    "SLURM_NNODES": "2", "SLURM_NTASKS": "4", "SLURM_NPROCS": "4", "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_TASKS_PER_NODE": "2(x2)", "SLURM_JOB_CPUS_PER_NODE": "16(x2)", "SLURM_CPUS_ON_NODE": "16",
    "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_GTIDS": "0", "SLURMD_NODENAME": "gnode09",
    "SLURM_TOPOLOGY_ADDR": "gnode09", "SLURM_TOPOLOGY_ADDR_PATTERN": "node", "SLURM_TASK_PID": "16360",
    "SLURM_JOB_GPUS": "0,1,2,3", "SLURM_GPUS_ON_NODE": "4", "CUDA_VISIBLE_DEVICES": "0,1,2,3",
    "SLURM_SUBMIT_HOST": "login1", "SLURM_JOB_PARTITION": "long",
}
# What `srun` in that script gives its four tasks: here task 3.
STEP = BATCH | {
    "SLURM_STEP_ID": "0", "SLURM_STEPID": "0", "SLURM_STEP_NODELIST": "gnode[09-10]", "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_TASKS_PER_NODE": "2(x2)", "SLURM_STEP_LAUNCHER_PORT": "41245",
    "SLURM_SRUN_COMM_HOST": "10.1.0.9", "SLURM_STEP_GPUS": "0,1,2,3", "SLURM_MPI_TYPE": "pmix",
    "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_GTIDS": "2,3", "SLURMD_NODENAME": "gnode10",
}
# `srun --nodes=1 --ntasks=2` in the same job, second step: the step is smaller than the job.
SMALL_STEP = BATCH | {
    "SLURM_STEP_ID": "1", "SLURM_STEPID": "1", "SLURM_STEP_NODELIST": "gnode10", "SLURM_STEP_NUM_NODES": "1",
    "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1",
    "SLURM_NODEID": "0", "SLURM_GTIDS": "0,1", "SLURMD_NODENAME": "gnode10", "SLURM_GPUS_ON_NODE": "4",
}
# `srun --ntasks=3 python …` typed on a login node, no GPUs, on a machine whose nodes differ.
CPU_STEP = {
    "SLURM_JOB_ID": "118", "SLURM_JOB_NODELIST": "node[7,10],big-a", "SLURM_NODELIST": "node[7,10],big-a",
    "SLURM_NNODES": "3", "SLURM_NTASKS": "4", "SLURM_NPROCS": "4", "SLURM_TASKS_PER_NODE": "1(x2),2",
    "SLURM_STEP_ID": "0", "SLURM_STEPID": "0", "SLURM_STEP_NODELIST": "node[7,10],big-a", "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "3", "SLURM_STEP_TASKS_PER_NODE": "1(x2),2", "SLURM_PROCID": "2", "SLURM_LOCALID": "0",
    "SLURM_NODEID": "2", "SLURM_GTIDS": "2,3", "SLURM_DISTRIBUTION": "block", "CUDA_VISIBLE_DEVICES": "",
}
# The shell of `salloc --ntasks=8` where it runs as an interactive step on the node.
INTERACTIVE = {
    "SLURM_JOB_ID": "1720714", "SLURM_JOB_NODELIST": "GPU71E4", "SLURM_JOB_NUM_NODES": "1", "SLURM_NODELIST": "GPU71E4",
    "SLURM_TASKS_PER_NODE": "8", "SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
    "SLURM_STEPID": "4294967290", "SLURM_STEP_ID": "4294967290", "SLURM_STEP_NODELIST": "GPU71E4",
    "SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_TASKS_PER_NODE": "1", "SLURM_PTY_PORT": "421",
    "SLURM_JOB_GPUS": "3", "CUDA_VISIBLE_DEVICES": "0",
}
# `srun --pty bash`: a step of one task.
PTY = {
    "SLURM_JOB_ID": "22902023", "SLURM_JOB_NODELIST": "sh04-10n05", "SLURM_NODELIST": "sh04-10n05", "SLURM_NTASKS": "1",
    "SLURM_NPROCS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_STEP_ID": "0",
    "SLURM_STEPID": "0", "SLURM_STEP_NODELIST": "sh04-10n05", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_GPUS": "7",
    "SLURM_STEP_TASKS_PER_NODE": "1", "SLURM_TASKS_PER_NODE": "1", "SLURM_TRES_PER_TASK": "cpu=4",
}
SHELLS = {
    "no Slurm": {"HOME": "/root"},
    "batch script": BATCH,
    "batch script of releases that number its step": BATCH | {"SLURM_STEP_ID": "4294967291"},
    "salloc on the login node": {"SLURM_JOB_ID": "9", "SLURM_NTASKS": "4", "SLURM_JOB_NODELIST": "node[1-4]",
                                 "SLURM_TASKS_PER_NODE": "1(x4)"},
    "interactive step": INTERACTIVE,
    "srun --pty bash": PTY,
    "step named instead of numbered": BATCH | {"SLURM_STEP_ID": "batch"},
}


@pytest.mark.parametrize("variables", SHELLS.values(), ids=SHELLS)
def test_a_shell_is_no_cluster(variables):
    assert cluster_from_environment(variables) is None


def places(variables: dict[str, str]) -> tuple[list[str], int, int, int]:
    """Hosts, index, local rank and local size, with REGLAB_PORT=5000 where the ports are not the point."""
    cluster = cluster_from_environment({**variables, "REGLAB_PORT": "5000"})
    assert cluster is not None
    assert cluster.source == "Slurm"
    return list(cluster.addresses), cluster.index, cluster.local_rank, cluster.local_size


@pytest.mark.parametrize("variables, expected", [
    (STEP, (["gnode09:5000", "gnode09:5001", "gnode10:5000", "gnode10:5001"], 3, 1, 2)),
    (SMALL_STEP, (["gnode10:5000", "gnode10:5001"], 1, 1, 2)),
    (CPU_STEP, (["node7:5000", "node10:5000", "big-a:5000", "big-a:5001"], 2, 0, 2)),
    ({name: value for name, value in STEP.items() if not name.startswith("SLURM_STEP_")},  # very old: SLURM_STEPID
     (["gnode09:5000", "gnode09:5001", "gnode10:5000", "gnode10:5001"], 3, 1, 2)),
    (INTERACTIVE | {"SLURM_STEP_ID": "3", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2"},
     (["GPU71E4:5000", "GPU71E4:5001"], 0, 0, 2)),
], ids=["whole job", "part of a job", "uneven nodes, no GPUs", "old Slurm", "srun in salloc"])
def test_srun_is_a_cluster(variables, expected):
    assert places(variables) == expected


def ports(job: int, step: int = 0, **more: str) -> list[int]:
    cluster = cluster_from_environment({**STEP, "SLURM_JOB_ID": str(job), "SLURM_STEP_ID": str(step), **more})
    assert cluster is not None
    return [int(address.rpartition(":")[2]) for address in cluster.addresses]


def test_ports_follow_from_the_job_and_stay_clear_of_outgoing_ones():
    assert ports(7) == ports(7, SLURM_PROCID="0", SLURM_LOCALID="0", SLURM_NODEID="0")
    chosen = [ports(job, step) for job in range(2_193_000, 2_193_100) for step in range(7)]
    assert all(first >= 20_000 and last < 32_768 - 128 for first, *_, last in chosen)
    assert len({first for first, *_ in chosen}) == 700, "jobs and steps that run side by side do not meet"


@pytest.mark.parametrize("text", ["abc", "80", "70000", "-1"])
def test_a_bad_port(text):
    with pytest.raises(ConfigError, match=f"^REGLAB_PORT={text}: give"):
        ports(7, REGLAB_PORT=text)


@pytest.mark.parametrize("changes, said", [
    ({"SLURM_STEP_TASKS_PER_NODE": "2(x3)"}, "SLURM_STEP_TASKS_PER_NODE=2(x3) does not place 4 tasks on "
     "SLURM_STEP_NODELIST=gnode[09-10]: start reglab with srun"),
    ({"SLURM_STEP_TASKS_PER_NODE": "2,1"}, "SLURM_STEP_TASKS_PER_NODE=2,1 does not place 4 tasks"),
    ({"SLURM_STEP_TASKS_PER_NODE": "two"}, "SLURM_STEP_TASKS_PER_NODE=two is not a list of counts such as 2(x3),1"),
    ({"SLURM_STEP_NODELIST": "gnode[09-10"}, "SLURM_STEP_NODELIST=gnode[09-10 is not a list of nodes such as "),
    ({"SLURM_PROCID": "x"}, "SLURM_PROCID=x: give a whole number"),
    ({"SLURM_PROCID": ""}, "SLURM_PROCID is not set, though SLURM_JOB_ID and SLURM_STEP_ID are: start reglab"),
    ({"SLURM_PROCID": "4"}, "SLURM_PROCID=4 is task 1 of node 1"),
    # srun --distribution=cyclic: task 1 is the first of the second node
    ({"SLURM_PROCID": "1", "SLURM_NODEID": "1", "SLURM_LOCALID": "0", "SLURM_DISTRIBUTION": "cyclic"},
     "SLURM_PROCID=1 is task 0 of node 1 (SLURM_LOCALID, SLURM_NODEID), so the tasks do not fill one node after the "
     "other: add --distribution=block to srun"),
])
def test_contradictions_are_one_clear_line(changes, said):
    with pytest.raises(ConfigError) as caught:
        cluster_from_environment({**STEP, **changes})
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text, nodes", [
    ("node1", ["node1"]),
    ("node[01-03,07],gpu-a", ["node01", "node02", "node03", "node07", "gpu-a"]),
    ("n[8-11]", ["n8", "n9", "n10", "n11"]),
    ("n[098-101]", ["n098", "n099", "n100", "n101"]),
    ("rack[1-2]n[3-4]", ["rack1n3", "rack1n4", "rack2n3", "rack2n4"]),
    ("cn[1,3]-ib.site.edu,login", ["cn1-ib.site.edu", "cn3-ib.site.edu", "login"]),
    ("sh04-10n05", ["sh04-10n05"]),
    ("r[01-02]c[1,3],x1000c0s[0-1]b0n0", ["r01c1", "r01c3", "r02c1", "r02c3", "x1000c0s0b0n0", "x1000c0s1b0n0"]),
])
def test_node_lists(text, nodes):
    assert expand_nodes(text) == nodes


@pytest.mark.parametrize("text", ["", ",", "a,", ",a", "a,,b", "a[", "a]", "a[]", "a[1-]", "a[x]", "a[1 2]", "a b",
                                  "a[1[2]]", "a[1-2-3]"])
def test_malformed_node_lists(text):
    with pytest.raises(ConfigError, match="^SLURM_JOB_NODELIST="):
        expand_nodes(text)


@pytest.mark.parametrize("text", ["n[1-100000000]", "a[1-200]b[1-200]", "n[0-999999999999999999]", "a,b[1-10000]",
                                  "n[1]" * 65])
def test_node_lists_without_end(text):
    with pytest.raises(ConfigError, match="^SLURM_JOB_NODELIST=.*names more than 10,000 nodes"):
        expand_nodes(text)


@pytest.mark.parametrize("text", ["n[1-100000000][3-1]", "[3-1]", "n[3-1,1-100000000]", "x" * 60_000 + "[1-9999]"])
def test_node_lists_that_hide_their_length(text):
    with pytest.raises(ConfigError, match="^SLURM_JOB_NODELIST=.*counts down, or is too long for a name"):
        expand_nodes(text)


@pytest.mark.parametrize("text", ["1(x1000000000)", "1(x9999),1(x2)"])
def test_counts_without_end(text):
    with pytest.raises(ConfigError, match="^SLURM_TASKS_PER_NODE=.*names more than 10,000 nodes"):
        expand_counts(text)


@pytest.mark.parametrize("changes, said", [
    ({"SLURM_STEP_NODELIST": "n\n[1-4]"}, r"SLURM_STEP_NODELIST=n\n[1-4] is not a list of nodes"),
    ({"SLURM_STEP_NODELIST": "\udcff"}, r"SLURM_STEP_NODELIST=\udcff is not a list"),
    ({"SLURM_STEP_NUM_TASKS": "9" * 5000}, "SLURM_STEP_NUM_TASKS=999"),
    ({"SLURM_STEP_NUM_TASKS": "10001"}, "SLURM_NTASKS=10001"),
    ({"REGLAB_PORT": "65535"}, "REGLAB_PORT=65535: the 2 tasks of a node need as many ports"),
])
def test_values_of_any_length_and_character_are_one_line(changes, said):
    with pytest.raises(ConfigError) as caught:
        cluster_from_environment({**STEP, **changes})
    assert str(caught.value).startswith(said)
    assert str(caught.value).isprintable() and len(str(caught.value)) <= 500


@pytest.mark.parametrize("text, counts", [("1", [1]), ("2(x3),1", [2, 2, 2, 1]), ("8,4(x2)", [8, 4, 4])])
def test_counts(text, counts):
    assert expand_counts(text) == counts


@pytest.mark.parametrize("text", ["", "2(x)", "2x3", "(x2)", "2(x3", "-1"])
def test_malformed_counts(text):
    with pytest.raises(ConfigError, match="^SLURM_TASKS_PER_NODE="):
        expand_counts(text)


@pytest.mark.parametrize("changes, visible, expected", [
    ({}, 4, [2, 3]),  # --gres=gpu:4: every task sees the four of its node, and they share them out
    ({"CUDA_VISIBLE_DEVICES": "3"}, 1, [0]),  # --gpu-bind=single:1
    ({"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_GPUS_PER_TASK": "2"}, 2, [0, 1]),
    ({"SLURM_GPUS_PER_TASK": "2", "SLURM_STEP_GPUS": "2,3", "CUDA_VISIBLE_DEVICES": "0,1"}, 2, [0, 1]),
    ({"SLURM_TRES_PER_TASK": "cpu=8,gres/gpu=1", "CUDA_VISIBLE_DEVICES": "0", "SLURM_STEP_GPUS": "1"}, 1, [0]),
    ({"SLURM_TRES_PER_TASK": "cpu=8"}, 4, [2, 3]),
    ({"CUDA_VISIBLE_DEVICES": ""}, 0, []),
])
def test_gpus(changes, visible, expected):
    cluster = Cluster(("gnode09:1", "gnode09:2", "gnode10:1", "gnode10:2"), 3, "Slurm")
    assert list(own_gpus(cluster, {**STEP, **changes}, visible)) == expected
