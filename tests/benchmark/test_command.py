"""`python -m reglab.benchmark`: flags, output, exit codes, and the processes it starts."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import subprocess
import sys
from typing import Any, NoReturn

import pytest

from reglab.benchmark import __main__ as command
from reglab.benchmark import experiment, workers
from reglab.benchmark.experiment import benchmark
from reglab.benchmark.peer_process import PeerError
from reglab.benchmark.settings import DEFAULT_SECTIONS, WITHOUT, Settings, extra_flags, make_settings
from reglab.benchmark.tables import tables
from reglab.benchmark.task import Task
from reglab.benchmark.worker import measure
from reglab.benchmark.workers import WorkerError, measure_apart
from reglab.cli import flags
from reglab.config import Config, ConfigError
from reglab.inputs import exit_codes

TINY = ["--hidden=5", "--train_size=100", "--jit=false", "--repeats=1", "--seconds=0.001"]


def strictly(text: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def settings(*argv: str) -> Settings:
    config, values, _, _ = flags.parse_with(list(argv), extra_flags(), WITHOUT)
    return make_settings(config, values)


BAD_INPUT = {
    "--repeats=0": "--repeats=0", "--seconds=0": "--seconds=0", "--seconds=nan": "--seconds=nan",
    "--sections=speed,fun": "'fun' is unknown", "--against=theano": "'theano' is unknown", "--lanes=1,x": "--lanes=1,x",
    "--devices=0": "--devices=0", "--widths=-1": "--widths=-1", "--batch_sizes=1078": "1,077 training examples",
    "--batch_size=9999": "--batch_size", "--devices=60": "weak scaling", "--l1=-1": "--l1=-1",
    "--against=jax --optimizer=sgd": "--optimizer=sgd cannot be raced", "--epochs=3": "epochs",
    "--sections=spede": "did you mean speed?", "--output=/nowhere/x.json": "/nowhere",
    "--output={here}": "exists already", "--output={here}/loop": "symbolic links",
    "--output=~no_such_user/x.json": "cannot be used", "--dataset=imagenet": "imagenet",
}


@pytest.mark.parametrize("line", BAD_INPUT)
def test_bad_input_is_code_2_and_one_line(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], line: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert command.main(line.format(here=tmp_path).split()) == exit_codes.BAD_INPUT
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("reglab: ") and err.count("\n") == 1
    assert BAD_INPUT[line] in err


def test_the_output_is_taken_before_all_else(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_benchmark", lambda *_: len(list(tmp_path.glob(".x.json*"))))
    assert command.main([f"--output={tmp_path / 'x.json'}"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_settings() -> None:
    found = settings("--lanes=1,16,1", "--against=torch,jax", "--l2=0", "--sections=")
    assert found.lanes == (1, 16)
    assert found.against == ("torch", "jax", "torch_compiled")
    assert (found.config.l1, found.config.l2) == (1e-4, 0.0)
    assert found.sections == ()
    assert settings().sections == DEFAULT_SECTIONS


def test_help_and_a_bad_flag_import_no_tensorflow() -> None:
    code = ("import sys; from reglab.benchmark.__main__ import main; "
            "sys.exit(10 * main(sys.argv[1:]) + ('tensorflow' in sys.modules))")
    for argv, expected in ((["--help"], 0), (["--lanes=x"], 20), (["--batch_sizes=99999"], 20)):
        assert subprocess.run([sys.executable, "-c", code, *argv], capture_output=True).returncode == expected


def test_the_command_measures_in_processes_of_their_own(tmp_path: pathlib.Path,
                                                        capfd: pytest.CaptureFixture[str]) -> None:
    argv = [*TINY, "--sections=start", "--devices=1,2", "--json", f"--output={tmp_path / 'new.json'}"]
    assert command.main(argv) == exit_codes.SUCCESS
    out, err = capfd.readouterr()
    result = strictly(out)
    assert out.count("\n") == 1
    assert strictly((tmp_path / "new.json").read_text()) == result
    assert "Measuring start" in err and "Scaling" in err and "Traceback" not in err
    start = result["start_seconds"]
    assert 0 < start["import_tensorflow"]["median"] < start["to_first_step"]["median"]
    assert result["peak_memory_bytes"]["min"] > 1e7
    two = result["devices_scaling"]["2"]
    assert two["loss_difference"] < 1e-5
    assert (two["strong"]["batch_size"], two["weak"]["batch_size"]) == (32, 64)
    assert two["strong"]["efficiency"]["min"] > 0
    assert result["devices_scaling"]["1"]["strong"]["efficiency"]["median"] == 1
    assert command.main(argv) == exit_codes.BAD_INPUT  # The file is there now.


def test_all_keys_and_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    raced = []

    def compare(job: Any, peers: Any, repeats: int) -> dict[str, Any]:
        raced.append((job.lanes, tuple(peers)))
        peer = {"step_time_us": {"median": 2.0, "min": 1.0, "max": 3.0}, "compile_seconds": 1.0,
                "loss": [0.5] * job.lanes, "peak_memory_bytes": 10**8}
        return {"peers": {"reglab": peer, "jax": {**peer, "ratio": peer["step_time_us"], "agrees": True}},
                "missing": {"torch": "torch"}, "failed": {}, "rounds": repeats}

    monkeypatch.setattr(experiment, "compare", compare)
    asked = settings(*TINY, "--widths=6", "--batch_sizes=16", "--lanes=2")
    # Races are of compiled programs, so the flags do not allow this with --jit=false.
    asked = dataclasses.replace(asked, against=("jax", "torch", "torch_compiled"))
    result = benchmark(asked, measure=measure)
    strictly(json.dumps(result))
    for name in ("steps_per_second", "examples_per_second", "step_time_us", "compile_seconds", "peak_memory_bytes",
                 "limit_share"):
        assert set(result[name]) == {"median", "min", "max"}
    assert set(result["penalty_cost"]) == {"none", "l1", "l2", "l1_l2"}
    assert result["logging_cost"]["both"]["ratio"]["min"] > 0
    assert result["widths"]["6"]["hidden"] == [6, 3] and result["batch_sizes"]["16"]["batch_size"] == 16
    assert result["peers"]["jax"]["ratio"]["median"] == 2
    assert result["failed"] == {} and result["peers_missing"] == {"torch": "torch"}
    assert raced == [(2, ("jax",)), (1, ("jax", "torch", "torch_compiled"))]
    text = tables(result)
    assert re.fullmatch(r"[ -~\n]*", text)
    for title in ("Speed on", "limit / step time", "Cost of the penalty", "Cost of summaries", "Growth over widths",
                  "Lanes", "2 lanes against", "Against", "torch is left out: this Python lacks torch"):
        assert title in text


def test_a_section_that_fails_does_not_end_the_others(capfd: pytest.CaptureFixture[str],
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(task: Task) -> dict[str, Any]:
        if task.section == "penalty":
            raise WorkerError("penalty could not be measured: exit code -9")
        return {}

    result = benchmark(settings(*TINY, "--sections=penalty,logging"), measure=measure)
    assert list(result["failed"]) == ["penalty"] and "logging_cost" in result
    assert "Failed: penalty" in tables(result)
    monkeypatch.setattr(experiment.benchmark, "__defaults__", (None, measure))
    assert command.main([*TINY, "--sections=penalty"]) == exit_codes.VERDICT_FAILED
    assert "exit code -9" in capfd.readouterr().out


@pytest.mark.parametrize(("answer", "error"), [({"config_error": "no such device"}, ConfigError),
                                               (PeerError("exit code 1: out of memory"), WorkerError)])
def test_what_a_worker_says_reaches_the_user(monkeypatch: pytest.MonkeyPatch, answer: Any, error: type) -> None:
    class Process:
        def __init__(self, argv: list[str]) -> None:
            assert Task.from_json(argv[-1]).config == Config(hidden=(3,))

        def ask(self, command: str | None, timeout: float) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        def close(self) -> None:
            pass

    monkeypatch.setattr(workers, "PeerProcess", Process)
    with pytest.raises(error, match="no such device|speed could not be measured: exit code 1: out of memory"):
        measure_apart(Task("speed", Config(hidden=(3,)), 1.0, 1))
