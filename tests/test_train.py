"""The command as a user meets it: exit codes, streams, bad input, and real kills of real processes."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import reglab
from reglab import train
from reglab.cli import flags
from reglab.data import load
from reglab.inputs import exit_codes

ROOT = pathlib.Path(__file__).parent.parent
SMALL = ["--hidden=4", "--epochs=2", "--nojit", "--train_size=200"]
# About 14,000 steps, 10,000 a second: time enough to be killed in.
LONG = ["--hidden=4", "--epochs=400", "--evaluate_every=100", "--checkpoint_every=500", "--summary_every=50",
        "--l1=1e-3", "--l2=1e-3"]
STEPS = 400 * -(-len(load("digits").train) // 32)
TREE = Callable[[pathlib.Path], dict[str, Any]]


def environment() -> dict[str, str]:
    """That of a user: nothing of what the tests set for TensorFlow."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "PYTHON"))}
    return kept | {"PYTHONPATH": str(ROOT)}


def start(*argv: str, cwd: pathlib.Path, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, *options, "-m", "reglab.train", *argv], env=environment(), cwd=cwd,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)
    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def started_tensorflow() -> None:
    """What TensorFlow says when it looks for devices, where the tests import it, is not the command's."""
    tf.config.list_logical_devices()


# Bad input.

def npz(path: pathlib.Path, **arrays: Any) -> str:
    np.savez(path, **{"x_train": np.eye(20), "y_train": np.arange(20) % 2, **arrays})
    return f"--dataset={path}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder of files that cannot be used, apart from where the command runs."""
    folder = tmp_path_factory.mktemp("files")
    npz(folder / "good.npz")
    npz(folder / "nan.npz", x_train=np.where(np.eye(20) == 1, np.nan, 0))
    npz(folder / "short.npz", y_train=np.arange(19) % 2)
    npz(folder / "fractions.npz", y_train=np.linspace(0, 1, 20))
    (folder / "torn.npz").write_bytes((folder / "good.npz").read_bytes()[:200])
    (folder / "text.npz").write_text("x_train")
    (folder / "garbled.json").write_text("{")
    (folder / "unknown.json").write_text('{"lr": 1}')
    (folder / "flags.txt").write_text("--lr=1\n")
    (folder / "mnist").mkdir()
    (folder / "mnist" / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + b"\0" * 50)
    return folder


BAD_INPUT = {
    "--l1=-1e-3": "--l1=-0.001", "--l2=nan": "--l2=nan", "--l1=inf": "--l1=inf", "--l1=x": "--l1=x",
    "--dataset=imagenet": "--dataset=imagenet", "--optimizer=lion": "--optimizer=lion", "--lambda=1": "lambda",
    "digits": "unexpected argument 'digits'", "--batch_size=0": "--batch_size=0", "--epochs=0": "--epochs=0",
    "--batch_size=1078": "--batch_size=1078 is more than the 1,077", "--train_size=2000": "--train_size=2000",
    "--penalize=conv": "--penalize=conv", "--penalize=(": "--penalize=(", "--hidden=a": "--hidden=a",
    "--label_noise=2": "--label_noise=2", "--activation=step": "--activation=step", "--precision=int8": "int8",
    "--weight_decay=0.1": "--optimizer=adamw", "--num_devices=99": "--num_devices=99",
    "--strategy=multi_worker": "--strategy=multi_worker",
    "--dataset={files}/missing.npz": "missing.npz", "--dataset={files}/nan.npz": "x_train",
    "--dataset={files}/short.npz": "y_train",
    "--dataset={files}/fractions.npz": "y_train", "--dataset={files}/torn.npz": "torn.npz",
    "--dataset={files}/text.npz": "text.npz", "--dataset={files}/good.npz --batch_size=17": "--batch_size=17",
    "--dataset=mnist --data_dir={files}": "data_dir", "--dataset=mnist --data_dir={files}/mnist": "mnist",
    "--dataset=cifar10 --data_dir={files}/none": "data_dir",
    "--model_dir=/proc/reglab": "--model_dir=/proc/reglab", "--model_dir={files}/good.npz": "is a file",
    "--model_dir={files}/good.npz/run": "--model_dir", "--model_dir=" + "x" * 300: "--model_dir",
    "--model_dir=run --resume=must": "--resume=must", "--resume=always": "--resume=always",
    "--config_file={files}/missing.json": "cannot be read", "--config_file={files}/garbled.json": "not JSON",
    "--config_file={files}/unknown.json": "'lr'", "--flagfile={files}/flags.txt": "lr",
    "--flagfile={files}/missing.txt": "flagfile",
}


@pytest.mark.parametrize("line", BAD_INPUT)
def test_bad_input_is_code_2_and_one_line_and_writes_nothing(here: pathlib.Path, files: pathlib.Path, tree: TREE,
                                                             capfd: pytest.CaptureFixture[str], line: str) -> None:
    before = tree(files)
    assert train.main(line.format(files=files).split()) == exit_codes.BAD_INPUT == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("reglab: ") and err.endswith("\n") and err.count("\n") == 1
    assert BAD_INPUT[line] in err
    assert "Traceback" not in err
    assert tree(here) == {} and tree(files) == before


def test_another_configuration_in_the_folder_is_refused(here: pathlib.Path, tree: TREE,
                                                        capfd: pytest.CaptureFixture[str]) -> None:
    assert train.main([*SMALL, "--model_dir=run"]) == exit_codes.SUCCESS
    capfd.readouterr()
    before = tree(here)
    for line, said in ((["--l1=0.5"], "l1: 0.5, not 0.0"), (["--resume=never"], "--resume=never")):
        assert train.main([*SMALL, "--model_dir=run", *line]) == exit_codes.BAD_INPUT
        out, err = capfd.readouterr()
        assert out == "" and err.count("\n") == 1 and said in err
        assert tree(here) == before


# Start-up.

@pytest.mark.parametrize(("argv", "code"), [(["--help"], 0), (["--lambda=1"], 2), (["--l1=-1"], 2)])
def test_help_and_a_bad_flag_import_no_tensorflow(tmp_path: pathlib.Path, argv: list[str], code: int) -> None:
    found, out, err = finish(start(*argv, cwd=tmp_path, options=("-X", "importtime")))
    imported = set(re.findall(r"\| +([\w.]+)$", err, re.MULTILINE))
    assert found == code
    assert "reglab.cli.flags" in imported
    assert not {"tensorflow", "numpy", "keras", "tensorboard", "rich"} & imported
    assert out == (flags.help_text("reglab.train", train.purpose(), train.DRY_RUN) + "\n" if code == 0 else "")


# Streams.

def test_a_piped_run_is_plain_text_and_nothing_on_stderr(tmp_path: pathlib.Path) -> None:
    code, out, err = finish(start("--hidden=4", "--epochs=2", "--l1=1e-3", "--model_dir=my run", cwd=tmp_path))
    assert (code, err) == (0, "")
    assert re.fullmatch(r"[ -~\n]*", out)
    for said in ("digits: 1,077 training, 360 validation and 360 test", "MLP 64-4-10", "dense_0, logits (kernels only)",
                 "Done after 68 steps", "tensorboard --logdir 'my run'", "Gap", "Sparsity"):
        assert said in out
    result = strict((tmp_path / "my run" / "result.json").read_text())
    assert f"{100 * result['validation']['accuracy']:.2f} %" in out


def test_json_is_the_result_alone_on_stdout(here: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # The second time it is complete.
        assert train.main([*SMALL, "--model_dir=run", "--json"]) == exit_codes.SUCCESS
        out, err = capfd.readouterr()
        assert strict(out) == strict((here / "run" / "result.json").read_text())
        assert out.count("\n") == 1
        assert "MLP 64-4-10" in err and "tensorboard --logdir run" in err
        assert "Traceback" not in err


def test_without_a_folder_named_a_new_one_is_made_under_runs(here: pathlib.Path) -> None:
    for count in (1, 2):
        assert train.main([*SMALL, "--l1=0.5"]) == exit_codes.SUCCESS
        assert len(list((here / "runs").iterdir())) == count
    assert {path.name for path in here.iterdir()} == {"runs"}
    for path in (here / "runs").iterdir():
        assert re.fullmatch(r"\d{8}-\d{6}-digits-l1=0.5(-2)?", path.name)


def test_a_configuration_file_gives_the_same_run_again(here: pathlib.Path) -> None:
    assert train.main([*SMALL, "--l1=0.5", "--seed=3", "--model_dir=first"]) == exit_codes.SUCCESS
    assert train.main(["--config_file=first/config.json", "--model_dir=second"]) == exit_codes.SUCCESS
    assert weights(here / "first") == weights(here / "second")


def test_a_diverged_run_is_code_3(here: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert train.main([*SMALL, "--optimizer=sgd", "--learning_rate=1e38", "--model_dir=run"]) == 3
    err = capfd.readouterr().err
    assert err.startswith("reglab: the data loss is not finite at step") and err.count("\n") == 1
    assert not (here / "run" / "result.json").exists()


# Kills.

def last_checkpoint(folder: pathlib.Path) -> int:
    """The step of the newest checkpoint, 0 where there is none."""
    return max((int(path.stem.split("-")[1]) for path in (folder / "checkpoints").glob("ckpt-*.index")), default=0)


def weights(folder: pathlib.Path) -> dict[str, bytes]:
    """Every array of the newest checkpoint."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{last_checkpoint(folder)}"))
    return {name: np.asarray(reader.get_tensor(name)).tobytes() for name in reader.get_variable_to_shape_map()
            if "OBJECT_GRAPH" not in name}


def measured_steps(folder: pathlib.Path) -> list[int]:
    lines = [strict(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if "learning_rate" in line]


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The long run, in this process, stopped by nothing."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    reglab.fit(dataclasses.replace(flags.parse(LONG).config, model_dir=str(folder)))
    return folder


@pytest.fixture
def killed(tmp_path: pathlib.Path) -> Iterator[subprocess.Popen[str]]:
    """The long run in a process of its own, in `tmp_path`/run, some checkpoints on its way."""
    process = start(*LONG, "--model_dir=run", cwd=tmp_path)
    try:
        wait_until(lambda: last_checkpoint(tmp_path / "run") >= 1000, process)
        yield process
    finally:
        process.kill()
        process.communicate()


def assert_whole(folder: pathlib.Path, uninterrupted: pathlib.Path) -> None:
    assert weights(folder) == weights(uninterrupted)
    assert measured_steps(folder) == measured_steps(uninterrupted) == list(range(0, STEPS, 50))
    results = [strict((path / "result.json").read_text()) for path in (folder, uninterrupted)]
    assert results[0]["validation"] == results[1]["validation"]
    assert results[0]["resumed_from"] > 0


def test_sigterm_saves_and_exits_in_seconds_and_the_same_command_goes_on(
        tmp_path: pathlib.Path, killed: subprocess.Popen[str], uninterrupted: pathlib.Path) -> None:
    killed.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    code, out, err = finish(killed)
    assert code == exit_codes.STOPPED == 75
    assert time.monotonic() - asked < 10
    stopped = re.fullmatch(r"reglab: stopped by SIGTERM after step (\d+), saved; "
                           r"the same command with --model_dir=run goes on\n", err)
    assert stopped
    assert last_checkpoint(tmp_path / "run") == int(stopped[1]) < STEPS
    assert "Done" not in out and not (tmp_path / "run" / "result.json").exists()

    code, out, err = finish(start(*LONG, "--model_dir=run", cwd=tmp_path))
    assert (code, err) == (0, "")
    assert f"Resumed after step {stopped[1]} of {STEPS}." in out
    assert_whole(tmp_path / "run", uninterrupted)


def test_a_run_killed_at_once_goes_on_from_its_last_checkpoint(
        tmp_path: pathlib.Path, killed: subprocess.Popen[str], uninterrupted: pathlib.Path) -> None:
    killed.kill()
    assert finish(killed)[0] == -signal.SIGKILL
    folder = tmp_path / "run"
    assert not (folder / "result.json").exists()
    history = reglab.fit(dataclasses.replace(flags.parse(LONG).config, model_dir=str(folder), resume="must"))
    assert history.result["resumed_from"] >= 1000
    assert_whole(folder, uninterrupted)
