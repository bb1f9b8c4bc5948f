"""Slurm's variables and TF_CONFIG, from whatever an environment may hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reglab.cluster import cluster_from_environment
from reglab.cluster.base import MOST_WORKERS
from reglab.cluster.slurm import expand_counts, expand_nodes

Survives = Callable[..., Any]
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

LENGTHS = st.sampled_from([1, 2, 3, 4, 10, 20, 50, 100, 300, 1000, 70_000, 150_000])
TEXTS = st.one_of(st.text(st.characters(exclude_categories=()), max_size=30), st.builds(
    lambda text, times: text * times, st.text(min_size=1, max_size=3), LENGTHS))
NUMBERS = st.one_of(st.integers(0, 5).map(str), st.integers().map(str), st.integers(1, 6000).map(lambda n: "9" * n))
RANGES = st.one_of(st.integers(0, 40).map(str), st.builds("{}-{}".format, NUMBERS, NUMBERS), st.sampled_from(
    ["1-100000000", "01-03", "3-1", "0-" + "9" * 18]))
NODES = st.one_of(
    st.lists(st.one_of(st.sampled_from(["n", "node", "gpu-a", ".", "[[", "]", ","]),
                       st.lists(RANGES, max_size=3).map(lambda parts: f"[{','.join(parts)}]")), max_size=8
             ).map("".join),
    st.text(st.sampled_from("n0123456789[]-,"), max_size=40), TEXTS)
COUNTS = st.one_of(st.lists(st.one_of(NUMBERS, st.builds("{}(x{})".format, NUMBERS, NUMBERS)),
                            max_size=4).map(",".join), st.text(st.sampled_from("0123456789(x),"), max_size=20), TEXTS)
SLURM = st.fixed_dictionaries(
    {}, optional={"SLURM_NTASKS": st.one_of(NUMBERS, TEXTS), "SLURM_STEP_NODELIST": NODES,
                  "SLURM_STEP_TASKS_PER_NODE": COUNTS, "SLURM_PROCID": NUMBERS, "SLURM_NODEID": NUMBERS,
                  "SLURM_LOCALID": NUMBERS, "REGLAB_PORT": st.one_of(NUMBERS, st.sampled_from(["65534", "1024"])),
                  "SLURM_STEP_NUM_TASKS": NUMBERS, "SLURM_JOB_ID": st.one_of(NUMBERS, TEXTS),
                  "SLURM_STEP_ID": st.one_of(NUMBERS, TEXTS)})


@given(text=NODES)
def test_node_lists(text: str, survives: Survives) -> None:
    nodes = survives(lambda: expand_nodes(text))
    assert nodes is None or len(nodes) <= MOST_WORKERS


@given(text=COUNTS)
def test_counts(text: str, survives: Survives) -> None:
    counts = survives(lambda: expand_counts(text))
    assert counts is None or len(counts) <= MOST_WORKERS


@given(tasks=st.integers(2, 4), shape=st.integers(1, 4), changes=SLURM)
def test_slurm(tasks: int, shape: int, changes: dict[str, str], survives: Survives) -> None:
    whole = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_NTASKS": str(tasks), "SLURM_PROCID": "0",
             "SLURM_STEP_NODELIST": f"n[1-{tasks}]", "SLURM_STEP_TASKS_PER_NODE": f"1(x{tasks})", "SLURM_NODEID": "0",
             "SLURM_LOCALID": "0"}
    few = dict(list(changes.items())[:shape + 1])  # Otherwise the first mistake hides the others.
    cluster = survives(lambda: cluster_from_environment({**whole, **few}))
    assert cluster is None or all(int(address.rpartition(":")[2]) < 65536 for address in cluster.addresses)


ADDRESSES = st.one_of(st.builds("{}:{}".format, st.sampled_from(["a", "b", "[::1]", "h" * 300, ""]),
                                st.one_of(st.integers(1, 9), st.integers(), NUMBERS)), TEXTS)
TASKS = st.one_of(st.lists(ADDRESSES, max_size=4), ADDRESSES, st.none(), st.integers())
KINDS = st.one_of(st.sampled_from(["worker", "chief", "master", "ps", "evaluator"]), TEXTS)
JSON = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
                    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
                    max_leaves=8)
VALUES = st.fixed_dictionaries({}, optional={
    "cluster": st.one_of(st.dictionaries(KINDS, TASKS, max_size=4), JSON),
    "task": st.one_of(JSON, st.fixed_dictionaries({}, optional={
        "type": st.one_of(KINDS, JSON), "index": st.one_of(st.integers(-1, 3), NUMBERS, JSON)})),
    "sparseCluster": JSON})
WRITTEN = st.one_of(
    VALUES.map(json.dumps), VALUES.map(json.dumps), JSON.map(json.dumps), TEXTS,
    st.builds(lambda text, at, new: text[:at] + new + text[at:], VALUES.map(json.dumps), st.integers(0, 200),
              st.text(max_size=3)),
    st.builds(lambda opening, depth: opening * depth, st.sampled_from(["[", '{"cluster":', "[{", "9"]),
              LENGTHS),
    st.sampled_from([1, 2, 3, 10, 100, 9999, 10_000, 10_001, 20_000]).map(lambda n: json.dumps(
        {"cluster": {"worker": [f"h{i}:1" for i in range(n)]}, "task": {"type": "worker", "index": 0}})))


@given(text=WRITTEN)
def test_tf_config(text: str, survives: Survives) -> None:
    cluster = survives(lambda: cluster_from_environment({"TF_CONFIG": text}))
    if cluster is not None:
        assert 1 < cluster.size <= MOST_WORKERS
        assert cluster_from_environment({"TF_CONFIG": cluster.tf_config()}) == cluster
