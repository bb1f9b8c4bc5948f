"""The command that certifies: its verdict, streams and exit codes. What it checks is in test_exactness.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import tensorflow as tf

from reglab.certify import __main__ as certify
from reglab.certify import exactness
from reglab.certify.exactness import Finding
from reglab.config import Config
from reglab.inputs import exit_codes

EQUAL, UNEQUAL = Finding("one case", {"weights": 1e-16, "losses": 0.0}), Finding("another", {"weights": 0.25})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The configurations and data sets that were checked; what comes of it is in `found`."""
    tf.config.list_logical_devices()
    checked: list[Any] = []

    def check(config: Config, dataset: Any, replicas: Any) -> Iterator[Finding]:
        checked.append((config, dataset))
        yield from found

    found.clear()
    monkeypatch.setattr(exactness, "check_replicas", check)
    yield checked


found: list[Finding] = []


def test_a_verdict_with_the_largest_difference(asked: list[Any], capfd: pytest.CaptureFixture[str]) -> None:
    found.append(EQUAL)
    assert certify.main(["replicas"]) == exit_codes.SUCCESS
    out, err = capfd.readouterr()
    assert out.splitlines() == [
        "1 replica (one_device) against one device, float64, digits: 1,003 training, 360 validation and 360 test "
        "images of 8x8, 10 classes",
        "  equal     one case: weights 1.0e-16, losses 0.0e+00",
        "Exact: the largest relative difference is 1.0e-16, at most 1e-12."]
    assert err == ""


def test_a_difference_is_code_4_and_names_the_case(asked: list[Any], capfd: pytest.CaptureFixture[str]) -> None:
    found.extend([EQUAL, UNEQUAL])
    assert certify.main(["replicas"]) == exit_codes.VERDICT_FAILED == 4
    lines = capfd.readouterr().out.splitlines()
    assert lines[2:] == ["  NOT EQUAL another: weights 2.5e-01",
                         "NOT EXACT: the largest relative difference is 2.5e-01, more than 1e-12."]


def test_json_is_one_object_alone_on_stdout(asked: list[Any], capfd: pytest.CaptureFixture[str]) -> None:
    found.extend([EQUAL, UNEQUAL])
    assert certify.main(["replicas", "--json"]) == exit_codes.VERDICT_FAILED
    out, err = capfd.readouterr()
    assert json.loads(out) == {"exact": False, "largest_difference": 0.25, "tolerance": 1e-12, "replicas": 1,
                               "workers": 1, "strategy": "one_device",
                               "cases": {"one case": EQUAL.differences, "another": UNEQUAL.differences}}
    assert err.count("\n") == 4


def test_the_defaults_are_a_ragged_clipped_and_penalized_run(asked: list[Any]) -> None:
    found.append(EQUAL)
    certify.main(["replicas"])
    config, dataset = asked[0]
    assert (len(dataset.train), config.batch_size, config.l1, config.l2, config.clip_norm) == (1003, 100, 1e-3, 1e-3, 1)


def test_flags_replace_the_defaults(asked: list[Any]) -> None:
    found.append(EQUAL)
    certify.main(["replicas", "--l1=0.5", "--batch_size=7"])
    certify.main(["replicas", "--train_size=30", "--batch_size=30"])
    certify.main(["replicas", "--dataset=digits"])
    assert [(len(data.train), config.batch_size, config.l1) for config, data in asked] == [
        (1003, 7, 0.5), (30, 30, 1e-3), (1077, 100, 1e-3)]


def test_one_device_is_itself(capfd: pytest.CaptureFixture[str]) -> None:
    assert certify.main(["replicas", "--nojit", "--hidden=", "--json"]) == exit_codes.SUCCESS
    verdict = json.loads(capfd.readouterr().out)
    assert verdict["exact"] is True and verdict["largest_difference"] == 0


@pytest.mark.parametrize(("argv", "said"), [
    ([], "certify needs a subject: what can be certified is replicas"),
    (["gradients"], "certify gradients: what can be certified is replicas"),
    (["replica"], "certify replica: what can be certified is replicas or, of the folder of a run, rerun and run; did "
                  "you mean replicas?"),
    (["replicas", "--lambda=1"], "Unknown command line flag 'lambda'"),
    (["replicas", "--l1=-1"], "--l1=-1"),
    (["replicas", "--batch_size=1004"], "--batch_size=1004 is more than the 1,003"),
])
def test_bad_input_is_code_2_and_one_line(capfd: pytest.CaptureFixture[str], argv: list[str], said: str) -> None:
    tf.config.list_logical_devices()
    assert certify.main(argv) == exit_codes.BAD_INPUT
    out, err = capfd.readouterr()
    assert out == "" and err.startswith(f"reglab: {said}") and err.count("\n") == 1


def test_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert certify.main(["--help"]) == certify.main(["replicas", "--help"]) == exit_codes.SUCCESS
    assert "usage: python -m reglab.certify replicas" in capfd.readouterr().out
