"""The manifest for Kubernetes in BUILD.md, as far as it can be judged without one."""

from __future__ import annotations

import pathlib
import re

from reglab.cluster import Cluster, cluster_from_environment
from reglab.inputs import exit_codes

TEXT = (pathlib.Path(__file__).parents[2] / "BUILD.md").read_text()


def test_each_pod_finds_itself_in_tf_config():
    found = re.search(r"^ *value: '(\{.*?\})'$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    addresses = ("reglab-0.reglab:2222", "reglab-1.reglab:2222")
    for index in range(2):
        folded = re.sub(r"\n +", " ", found[1]).replace("$(WORKER)", str(index))  # As YAML and Kubernetes do it.
        assert cluster_from_environment({"TF_CONFIG": folded}) == Cluster(addresses, index, "TF_CONFIG")


def test_exit_codes_decide_what_starts_again():
    rules = dict(re.findall(r"action: (\w+), onExitCodes: .* values: (\[.*?\])", TEXT))
    assert rules == {"FailJob": str([exit_codes.BAD_INPUT, exit_codes.DIVERGED]), "Ignore": str([exit_codes.STOPPED]),
                     "Count": str([exit_codes.PEER_LOST])}
