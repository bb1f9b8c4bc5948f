import io
import json
import os
import sys

import numpy as np
import pytest

from reglab.benchmark.peers import protocol
from reglab.benchmark.peers.job import Job, objective


class Recorder:
    """A trainer that learns nothing and remembers what it was given."""

    packages = ("numpy",)
    settings = "none"
    tuning_seconds = 0.0
    epsilon_last = False

    def __init__(self, job):
        os.write(1, b"chatter of a C++ library\n")
        print("chatter of a Python library")
        self.job, self.seen = job, []
        Recorder.last = self

    def prepare(self, order):
        return lambda: self.seen.append(order)

    def weights(self):
        return self.job.weights


@pytest.fixture
def converse(tmp_path, monkeypatch, capfd):
    """Runs `serve` on a job with these lines on stdin; gives the answers."""
    def run(job, lines):
        job.save(tmp_path / "job.npz")
        monkeypatch.setattr(sys, "argv", ["peer", str(tmp_path / "job.npz")])
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        saved = os.dup(1)
        try:
            with open(1, "w", closefd=False) as stdout:
                monkeypatch.setattr(sys, "stdout", stdout)  # As in a process: pytest's own does not write to 1.
                protocol.serve(Recorder)
        finally:
            monkeypatch.undo()
            os.dup2(saved, 1)
            os.close(saved)
        return [json.loads(line) for line in capfd.readouterr().out.splitlines()]

    return run


def test_a_job_survives_its_file(small_job, tmp_path):
    job = small_job(lanes=2)
    job.save(tmp_path / "job.npz")
    again = Job.load(tmp_path / "job.npz")
    assert (again.divisor, again.steps, again.warmup_steps, again.evaluated) == (16.0, 4, 3, 60)
    assert (again.lanes, again.batch_size, again.hidden, again.classes) == (2, 10, (8, 5), 3)
    for name in ("x", "y", "order", "l1", "l2", "learning_rate"):
        np.testing.assert_array_equal(getattr(again, name), getattr(job, name), strict=True)
    np.testing.assert_equal(again.weights, job.weights)


def test_every_epoch_of_the_order_visits_each_example_once(small_job):
    job = small_job(steps=9, repeats=1)
    for epoch in (job.order[:6], job.order[6:]):
        assert sorted(epoch.reshape(-1)) == list(range(60))


def test_the_objective_is_the_sum_of_the_design(small_job):
    job = small_job(lanes=2)
    total, data = objective(job, job.weights)
    for lane in range(2):
        layers = [(kernel[lane].astype(np.float64), bias[lane]) for kernel, bias in job.weights]
        (w0, b0), (w1, b1), (w2, b2) = layers
        logits = np.maximum(np.maximum(job.x / 16 @ w0 + b0, 0) @ w1 + b1, 0) @ w2 + b2
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        expected = -np.log(chances[np.arange(60), job.y]).mean()
        assert data[lane] == pytest.approx(expected)
        penalty = sum(job.l1[lane] * np.abs(w).sum() + job.l2[lane] * (w * w).sum() for w, _ in layers)
        assert total[lane] == pytest.approx(expected + penalty)


def test_a_conversation(small_job, converse):
    job = small_job()
    ready, first, second, result = converse(job, "run\nrun\nfinish\n")
    assert ready["ready"] and ready["compile_seconds"] >= 0
    assert first["steps"] == second["steps"] == 4 and first["seconds"] >= 0
    assert (result["loss"], result["data_loss"]) == objective(job, job.weights)
    assert result["versions"] == {"numpy": np.__version__} and result["settings"] == "none"
    assert result["deviation"] == [1.0]  # It did not move at all.
    assert result["peak_memory_bytes"] > 1e6
    np.testing.assert_array_equal(np.concatenate(Recorder.last.seen), job.order)


def test_an_unknown_command_is_refused(small_job, converse):
    with pytest.raises(ValueError, match="'jump' is no command"):
        converse(small_job(), "jump\n")


def test_one_lane(small_job):
    assert protocol.one_lane(small_job())[0][0].shape == (12, 8)
    with pytest.raises(ValueError, match="one lane, not 3"):
        protocol.one_lane(small_job(lanes=3))


def test_the_fastest_candidate_wins(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(protocol.time, "perf_counter", lambda: clock[0])
    candidates = {name: lambda cost=cost: clock.__setitem__(0, clock[0] + cost) for name, cost in (("a", 2), ("b", 1))}
    assert protocol.fastest(candidates) == "b"
