import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from reglab.benchmark.against import (
    DEVIATION_TOLERANCE,
    LOSS_TOLERANCE,
    PEERS,
    REFERENCE,
    Peer,
    compare,
    missing_packages,
)

FAKE = """
import json, sys, time
name = __name__ if __name__ != "__main__" else __spec__.name
print(json.dumps({"ready": True, "compile_seconds": 0.5, "tuning_seconds": 0.0}), flush=True)
for line in sys.stdin:
    if line.strip() == "run":
        RUN
        print(json.dumps({"seconds": SECONDS, "steps": 4}), flush=True)
    else:
        facts = {"peak_memory_bytes": 7, "versions": {}, "settings": "fake"}
        print(json.dumps({"loss": [LOSS], "data_loss": [1.0], "deviation": [DEVIATION], **facts}))
        break
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes a peer out of a tiny script."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(name, *, seconds="1.0", loss="2.0", deviation="0.0", run="pass", requires=()):
        code = FAKE
        for word, value in (("RUN", run), ("SECONDS", seconds), ("LOSS", loss), ("DEVIATION", deviation)):
            code = code.replace(word, value)
        (tmp_path / f"fake_{name}.py").write_text(code)
        return Peer(f"fake_{name}", requires)

    return make


def race(job, known, **options):
    return compare(job, list(known), 2, known=known, settle=0, **options)


def test_the_parent_imports_no_tensorflow():
    code = "import sys, reglab.benchmark.against; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ratios_are_taken_round_by_round(small_job, fake):
    # Both slow down in the second round, as on a machine with neighbours: the ratio of each round is what counts.
    known = {REFERENCE: fake("ours", run="k = globals().get('k', 0) + 1", seconds="k"),
             "slow": fake("slow", run="k = globals().get('k', 0) + 1", seconds="[None, 2, 6][k]", loss="2.02")}
    result = race(small_job(), known)
    ours, slow = result["peers"][REFERENCE], result["peers"]["slow"]
    assert slow["ratio"] == {"median": 2.5, "min": 2.0, "max": 3.0}
    assert ours["step_time_us"] == {"median": 375e3, "min": 250e3, "max": 500e3}
    assert ours["steps_per_second"]["max"] == 4 and ours["examples_per_second"]["max"] == 40
    assert slow["loss_difference"] == pytest.approx(0.01) and slow["agrees"]
    assert slow["compile_seconds"] == 0.5 and slow["peak_memory_bytes"] == 7 and slow["settings"] == "fake"
    assert "ratio" not in ours
    assert (result["batch_size"], result["steps"], result["lanes"], result["rounds"]) == (10, 4, 1, 2)
    assert result["missing"] == result["failed"] == {}


@pytest.mark.parametrize("what", [{"loss": str(2 * (1 + 2 * LOSS_TOLERANCE))}, {"loss": "float('nan')"},
                                  {"deviation": str(2 * DEVIATION_TOLERANCE)}, {"deviation": "float('nan')"}])
def test_who_does_something_else_does_not_agree(small_job, fake, what):
    result = race(small_job(), {REFERENCE: fake("ours"), "other": fake("other", **what)})
    assert result["peers"]["other"]["agrees"] is False


def test_runs_are_interleaved_and_every_other_round_goes_backwards(small_job, fake, tmp_path):
    note = f"open({str(tmp_path / 'turns')!r}, 'a').write(name[-1])"
    race(small_job(), {REFERENCE: fake("a", run=note), "b": fake("b", run=note), "c": fake("c", run=note)})
    assert (tmp_path / "turns").read_text() == "abccba"


def test_failures_are_told_and_not_fatal(small_job, fake):
    known = {REFERENCE: fake("ours"), "dies": fake("dies", run="raise MemoryError('no room')"),
             "hangs": fake("hangs", run="time.sleep(60)"), "babbles": fake("babbles", run="print('hello')"),
             "absent": fake("absent", requires=("json", "no_such_package"))}
    result = race(small_job(), known, timeout=4)
    assert list(result["peers"]) == [REFERENCE]
    assert result["missing"] == {"absent": "no_such_package"}
    assert result["failed"] == {"dies": "exit code 1: MemoryError: no room", "hangs": "no answer to run within 4 s",
                                "babbles": "not a JSON answer: hello"}


def test_without_reglab_the_others_are_still_timed(small_job, fake):
    result = race(small_job(), {REFERENCE: fake("ours", run="raise SystemExit(3)"), "other": fake("other")})
    assert result["failed"] == {REFERENCE: "exit code 3: it said nothing"}
    assert result["peers"]["other"]["step_time_us"]["median"] == 250e3 and "ratio" not in result["peers"]["other"]


def test_impossible_requests_are_refused(small_job):
    with pytest.raises(ValueError, match="unknown peer 'theano': choose from reglab, keras"):
        compare(small_job(), ["theano"], 2)
    with pytest.raises(ValueError, match="too few for 3 repeats"):
        compare(small_job(), [], 3)


def test_reglab_and_keras_end_at_the_same_loss(small_job):
    result = race(small_job(), {name: PEERS[name] for name in (REFERENCE, "keras")}, timeout=200)
    assert result["failed"] == {}
    assert result["peers"]["keras"]["loss_difference"] < 1e-4
    for peer in result["peers"].values():
        assert peer["deviation"][0] < 1e-4


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_other_libraries_end_at_the_same_loss(small_job, name):
    lacking = missing_packages({name: PEERS[name]})
    if lacking:
        pytest.skip(f"not installed: {lacking[name]}")
    result = race(small_job(), {peer: PEERS[peer] for peer in (REFERENCE, name)}, timeout=200)
    assert result["failed"] == {}
    # They place Adam's epsilon elsewhere, which shows in the first steps.
    assert result["peers"][name]["loss_difference"] < 1e-2


@pytest.mark.parametrize("lanes", [1, 3])
def test_jax_lanes(small_job, lanes):
    if importlib.util.find_spec("jax") is None or importlib.util.find_spec("optax") is None:
        pytest.skip("not installed: jax, optax")
    result = race(small_job(lanes), {peer: PEERS[peer] for peer in (REFERENCE, "jax")}, timeout=200)
    losses = [result["peers"][name]["loss"] for name in (REFERENCE, "jax")]
    assert len(losses[0]) == lanes
    np.testing.assert_allclose(*losses, rtol=1e-2)
