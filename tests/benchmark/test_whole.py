"""Whole processes: the job's command line, the scripts of other libraries, and what becomes of failures."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import pytest

from reglab.benchmark import whole as module
from reglab.benchmark.tables import tables
from reglab.benchmark.whole import _flags, _Jobs, whole
from reglab.benchmark.workers import WorkerError
from reglab.cli import flags
from reglab.config import Config
from reglab.data import Dataset


def test_the_command_line_gives_the_configuration() -> None:
    config = Config(hidden=(5, 4), l1=1e-3, histograms=True, data_dir="/data", model_dir="elsewhere", epochs=2)
    parsed = flags.parse(_flags(config)).config
    assert parsed.differences(config) == [] and parsed.data_dir == "/data" and parsed.model_dir is None


def test_ratios_are_taken_round_by_round_and_a_peer_that_does_less_is_named(
        monkeypatch: pytest.MonkeyPatch, dataset: Dataset) -> None:
    seconds = {"import": 4.0, "kept": 3.0, "empty": 5.0, "keras": 9.0, "alone": 2.0, "two_workers": 3.0}

    class Jobs(_Jobs):
        def seconds(self, command: Sequence[str]) -> float:
            return seconds["import"]

        def train(self, cache: str | None) -> float:
            self.accuracy["reglab"] = 0.95
            return seconds["kept" if cache else "empty"]

        def script(self, name: str) -> float:
            self.accuracy[name] = 0.8
            return seconds[name]

        def first_step_alone(self) -> float:
            return seconds["alone"]

        def first_step_of_two(self) -> float:
            return seconds["two_workers"]

    monkeypatch.setattr(module, "_Jobs", Jobs)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None if name == "torch" else name)
    found = whole(Config(), dataset, repeats=3)
    assert {name: figures["ratio"]["median"] for name, figures in found.items()
            if isinstance(figures, dict) and "ratio" in figures} == {
                "kept": 0.75, "empty": 1.25, "two_workers": 1.5, "keras": pytest.approx(1 / 3)}
    assert found["missing"] == ["torch"] and found["keras"]["agrees"] is False
    shown = tables({"dataset": "made", "config": Config().to_dict(), "load_average": None, "repeats": 3, "failed": {},
                    "whole": found})
    assert "DIFFERENT ACCURACY" in shown and "torch is left out" in shown and "0.75" in shown


def test_a_process_that_fails_is_named_with_its_last_line(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    jobs = _Jobs(Config(), dataset, tmp_path)
    with pytest.raises(WorkerError, match="ended with code 1: ZeroDivisionError"):
        jobs.seconds(["python", "-c", "1 / 0"])
    with pytest.raises(WorkerError, match="ended with code 0: it said nothing"):
        jobs._until_first_row(["python", "-c", "print('no table')"])


def test_the_keras_script_does_the_job(tmp_path: pathlib.Path) -> None:
    from reglab.data import load

    config = Config(hidden=(8,), l1=1e-3, epochs=2, learning_rate=1e-2)
    jobs = _Jobs(config, load("digits"), tmp_path)
    assert jobs.script("keras") > 0
    assert 0.5 < jobs.accuracy["keras"] < 1
    assert (tmp_path / "weights.keras").exists()
