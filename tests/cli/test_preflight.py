"""What is refused before TensorFlow is imported and before anything is written, by every command."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from reglab import train
from reglab.benchmark import __main__ as benchmark
from reglab.certify import __main__ as certify
from reglab.cli.preflight import preflight
from reglab.compare import __main__ as compare
from reglab.config import Config, ConfigError, devices
from reglab.export import __main__ as export
from reglab.sweep import __main__ as sweep

COMMANDS = {"train": (train.main, []), "certify": (certify.main, ["replicas"]), "sweep": (sweep.main, ["--l1=0,1"]),
            "compare": (compare.main, ["--l1=1e-3"]), "benchmark": (benchmark.main, []),
            "export": (export.main, ["--model_dir=none"])}
HOSTILE = {
    "--dataset=gs://b/x.npz": "gs:// is not supported", "--data_dir=s3://b": "s3://", "--config_file=http://x": "http://",
    "--flagfile=file:///x": "file://", "--model_dir=gs://b": "gs://", "--output=gs://b": "gs://",
    "--dataset=/dev/zero.npz": "no such file", "--config_file=/dev/zero": "pipe or device",
    "--flagfile=/dev/urandom": "pipe or device", "--hidden=1000000000": "GB are free",
    "--hidden=" + ",".join(["4"] * 3000): "at most 100 layers", "--batch_size=" + "9" * 400: "at most 2,147,483,647",
    "--epochs=" + "9" * 5000: "5,000 characters", "--seed=9223372036854775808": "at most 9,223,372,036,854,775,807",
    "--clip_norm=1e39": "beyond the largest float32", "--clip_norm=1e-60": "float32 would make it 0",
    "--penalize=((.*)*)*x": "matches no layer", "--batch_size=1438": "training examples of digits",
    "--" + "x" * 10**6 + "=1": "unknown command line flag", "--dataset=" + "\n" * 10**6: "1,000,010 characters",
    "--undefok=lr": "unknown command line flag", "--cpu_devices=100000": "at most 256", "--keep=-1": "at least 1"}


@pytest.mark.parametrize("flag", HOSTILE, ids=lambda flag: flag[:30])
@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_one_line_and_code_2(command: str, flag: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    main, more = COMMANDS[command]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reglab.engine.startup.quiet_tensorflow", lambda **_: pytest.fail("TensorFlow was imported"))
    assert main([*more, flag]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("reglab: ") and shown.err.count("\n") == 1
    assert len(shown.err) <= 510
    assert HOSTILE[flag] in shown.err or "nknown command line flag" in shown.err  # Not every command has every flag.
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("variable", "value", "said"), [
    ("TF_CONFIG", "[" * 50_000, "TF_CONFIG has [[["),
    ("REGLAB_COMPILE_CACHE", "gs://x", "REGLAB_COMPILE_CACHE=gs://x cannot"),
    ("TF_CONFIG", '{"cluster":{"worker":["a:1","b:x"]},"task":{"type":"worker","index":0}}', "the address b:x")])
def test_the_environment_too(variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=r".*") as caught:
        preflight(Config())
    assert said in str(caught.value)


def test_it_gives_the_data_unless_they_must_be_downloaded(tmp_path: pathlib.Path) -> None:
    np.savez(tmp_path / "mine.npz", x_train=np.zeros((40, 4)), y_train=np.arange(40) % 3)
    dataset = preflight(Config(dataset=str(tmp_path / "mine.npz")))
    assert dataset is not None and dataset.name == "mine"
    assert preflight(Config(dataset="mnist")) is None


def test_bytes_that_are_no_text_are_refused(tmp_path: pathlib.Path) -> None:
    command = [os.fsencode(sys.executable), b"-m", b"reglab.train", b"--model_dir=a\xff\x1b[2J"]
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 2
    assert done.stderr == rb"reglab: --model_dir=a\udcff\x1b[2J cannot be used: it is no text in UTF-8" + b"\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("flags", "refused"), [
    (["--num_devices=2"], True), (["--num_devices=2", "--cpu_devices=2"], False),
    (["--num_devices=2", "--strategy=mirrored"], True), (["--num_devices=2", "--strategy=one_device"], False)])
def test_devices_that_are_not_there_are_told_before_tensorflow_is_imported(
        flags: list[str], refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {name: int(value) if value.isdigit() else value for name, value in
              (flag.removeprefix("--").split("=") for flag in flags)}
    monkeypatch.setattr(devices, "_GPU_FILES", ())
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)  # Once it is imported it knows better.
    if refused:
        with pytest.raises(ConfigError, match="--num_devices=2, but there is only 1 CPU: ask for at most"):
            preflight(Config(**fields))
    else:
        assert preflight(Config(**fields)) is not None
    monkeypatch.setattr(devices, "_GPU_FILES", ("/",))
    assert preflight(Config(**fields)) is not None, "TensorFlow will know"
