"""A run again, compared to the bit: finished, interrupted, unfinished, tampered with, and on other terms."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.certify import __main__ as certify
from reglab.certify.rerun import Difference, NotRepeated, Verdict, first_difference, metrics, rerun
from reglab.config import Config, ConfigError
from reglab.data import Dataset
from reglab.inputs import exit_codes
from reglab.run.loop import Diverged, Interrupted, fit
from reglab.signals.stop import EarlyStop
from tests.older import older_run

pytestmark = pytest.mark.usefixtures("shared_compilation")

# 53 examples in batches of 8: 7 steps an epoch, 14 in all. Step 7 is measured and evaluated.
CONFIG = Config(hidden=(4,), batch_size=8, epochs=2, l1=0.01, optimizer="adam", learning_rate=0.01, schedule="cosine",
                summary_every=7, jit=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    fit(dataclasses.replace(CONFIG, model_dir=str(folder)), dataset)
    return folder


@pytest.fixture
def again(tmp_path: pathlib.Path, dataset: Dataset) -> Callable[[pathlib.Path], Verdict]:
    return lambda folder: rerun(str(folder), str(tmp_path / "again"), data=dataset)


def change(path: pathlib.Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def pipe_instead(path: pathlib.Path) -> None:
    """Who reads it waits for ever."""
    path.unlink()
    os.mkfifo(path)


def test_a_finished_run_is_equal_and_untouched(finished: pathlib.Path, again: Callable[[pathlib.Path], Verdict],
                                               tree: Callable[..., Any]) -> None:
    before = tree(finished)
    verdict = again(finished)
    assert verdict.equal and verdict.finished and verdict.facts == {}
    assert verdict.step == 14
    parameters = 6 * 4 + 4 + 4 * 3 + 3
    assert verdict.compared["checkpoints/ckpt-14"] == 3 * parameters + 1  # w, m, v and the step.
    assert verdict.compared["metrics.jsonl"] > 90 and verdict.compared["result.json"] > 30
    assert tree(finished) == before


def test_a_run_of_an_earlier_reglab_is_compared_by_the_names_of_today(
        tmp_path: pathlib.Path, finished: pathlib.Path, again: Callable[[pathlib.Path], Verdict]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    older_run(folder)
    verdict = again(folder)
    assert verdict.equal and verdict.compared["result.json"] > 30
    change(folder / "result.json", lambda result: result["train"].update(data=9.0))
    [difference] = again(folder).differences
    assert (difference.place, difference.first) == ("train, data_loss", 9.0)


def test_an_interrupted_and_resumed_run_is_equal(tmp_path: pathlib.Path, dataset: Dataset,
                                                 again: Callable[[pathlib.Path], Verdict]) -> None:
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path / "run"))
    for until in (3, 9):
        with pytest.raises(Interrupted, match=f"stopped by request after step {until}, saved"):
            fit(config, dataset, until=until)
    fit(config, dataset)
    assert again(tmp_path / "run").equal


@pytest.mark.parametrize("until", [3, 7, 9])
def test_an_unfinished_run_is_compared_up_to_its_last_checkpoint(tmp_path: pathlib.Path, dataset: Dataset, until: int,
                                                                 again: Callable[[pathlib.Path], Verdict]) -> None:
    with pytest.raises(Interrupted):
        fit(dataclasses.replace(CONFIG, model_dir=str(tmp_path / "run")), dataset, until=until)
    with open(tmp_path / "run" / "metrics.jsonl", "a") as file:
        # Past it, as a kill leaves them.
        file.write('{"step": 13, "split": "train", "train_batch/data_loss": 1e9}\n{"step": 1')
    verdict = again(tmp_path / "run")
    assert (verdict.equal, verdict.finished, verdict.step) == (True, False, until)
    assert "result.json" not in verdict.compared


def test_the_first_number_that_differs_of_each_file_is_named(tmp_path: pathlib.Path, finished: pathlib.Path,
                                                             again: Callable[[pathlib.Path], Verdict]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    at = next(k for k, line in enumerate(lines) if '"epoch/data_loss"' in line)
    record = json.loads(lines[at])
    tag = "epoch/data_loss"
    mine = record[tag]
    record[tag] = float(np.nextafter(mine, 9))
    lines[at] = json.dumps(record)
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    change(folder / "result.json", lambda result: result["gap"].update(data_loss=0.5))
    verdict = again(folder)
    assert [one.file for one in verdict.differences] == ["metrics.jsonl", "result.json"]
    assert verdict.differences[0] == Difference("metrics.jsonl", f"evaluation at step 7, {record['split']}, {tag}",
                                                record[tag], mine)
    assert verdict.differences[1].place == "gap, data_loss" and verdict.differences[1].first == 0.5


def test_weights_of_another_run_differ(tmp_path: pathlib.Path, finished: pathlib.Path, dataset: Dataset,
                                       again: Callable[[pathlib.Path], Verdict]) -> None:
    folder = tmp_path / "run"
    fit(dataclasses.replace(CONFIG, model_dir=str(folder), learning_rate=0.02), dataset)
    shutil.copy(finished / "config.json", folder / "config.json")
    change(folder / "result.json", lambda result: (result["numerics"].update(cores=64),
                                                   result["versions"].update(numpy="1.0")))
    verdict = again(folder)
    assert verdict.differences[0].file == "checkpoints/ckpt-14" and ", entry 0" in verdict.differences[0].place
    assert isinstance(verdict.differences[0].first, float)
    assert set(verdict.facts) == {"cores", "numpy"} and verdict.facts["numpy"][0] == "1.0"
    said = certify.describe_rerun("run", verdict)
    assert said[-1].startswith("NOT EQUAL") and any("cores was 64, and is " in line for line in said)


@pytest.mark.parametrize(("damage", "said"), [
    (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
    (lambda folder: shutil.rmtree(folder / "checkpoints"), "holds no checkpoint to compare with"),
    (lambda folder: (folder / "data.json").write_text("{}"), "data.json is missing or damaged"),
    (lambda folder: change(folder / "data.json", lambda facts: facts.update(digest="0")), "a run on other data"),
    (lambda folder: (folder / "checkpoints" / "ckpt-14.index").write_bytes(b"?"), "ckpt-14 cannot be read"),
    (lambda folder: pipe_instead(folder / "checkpoints" / "ckpt-14.index"), "ckpt-14.index is no ordinary file"),
    (lambda folder: (folder / "metrics.jsonl").unlink(), "metrics.jsonl is missing"),
    (lambda folder: pipe_instead(folder / "metrics.jsonl"), "metrics.jsonl is no ordinary file"),
    (lambda folder: pipe_instead(folder / "data.json"), "data.json is missing or damaged"),
])
def test_what_cannot_be_compared_is_said_in_a_line(tmp_path: pathlib.Path, finished: pathlib.Path, said: str,
                                                   damage: Callable[[pathlib.Path], object],
                                                   again: Callable[[pathlib.Path], Verdict]) -> None:
    shutil.copytree(finished, tmp_path / "run")
    damage(tmp_path / "run")
    with pytest.raises(ConfigError, match=said) as caught:
        again(tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_minus_zero_and_missing_parts_are_differences() -> None:
    assert first_difference("f", {"a": np.zeros(2)}, {"a": np.array([0.0, -0.0])}) == Difference(
        "f", "a, entry 1", 0.0, -0.0)
    assert first_difference("f", {"a": {"x": 0.0}}, {"a": {"x": -0.0}}) == Difference("f", "a, x", 0.0, -0.0)
    assert first_difference("f", {"a": {"x": 0}}, {"a": {"x": 0}, "b": {}}) == Difference("f", "b", "missing", "there")
    assert first_difference("f", {"a": np.full(2, np.nan)}, {"a": np.full(2, np.nan)}) is None


def test_a_measured_and_an_evaluated_step_are_two_lines(finished: pathlib.Path) -> None:
    assert {"step 7, train", "evaluation at step 7, train"} <= set(metrics(finished, 14))


@pytest.mark.parametrize(("ends_by", "raised", "code", "said"), [
    (Interrupted("SIGTERM", 3, True), EarlyStop, exit_codes.STOPPED, "stopped by SIGTERM, nothing yet to save; "),
    (Diverged(4), NotRepeated, exit_codes.VERDICT_FAILED, "the rerun did what the run did not: the data loss is not")])
def test_a_rerun_that_does_not_come_to_its_end(finished: pathlib.Path, again: Callable[[pathlib.Path], Verdict],
                                               ends_by: BaseException, raised: type[exit_codes.Ending], code: int,
                                               said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit_until(*args: Any, **more: Any) -> None:
        raise ends_by

    monkeypatch.setattr("reglab.certify.rerun.fit", fit_until)
    with pytest.raises(raised) as caught:
        again(finished)
    assert caught.value.exit_code == code and caught.value.line.startswith(said)


# The command.

def test_the_command(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str],
                     monkeypatch: pytest.MonkeyPatch) -> None:
    tf.config.list_logical_devices()
    folder = tmp_path / "run"
    fit(Config(hidden=(), train_size=60, epochs=1, jit=False, model_dir=str(folder)))
    assert certify.main(["rerun", str(folder), "--json"]) == exit_codes.SUCCESS
    out, err = capfd.readouterr()
    assert json.loads(out)["equal"] is True
    assert err.splitlines()[-1] == "Equal to the bit."
    change(folder / "result.json", lambda result: result["train"].update(data_loss=9.0))
    assert certify.main(["rerun", str(folder)]) == exit_codes.VERDICT_FAILED
    out, err = capfd.readouterr()
    assert "  result.json, train, data_loss: 9.0, and again " in out and err == ""


@pytest.mark.parametrize("argv", [["rerun"], ["rerun", "a", "b"], ["rerun", "a", "--l1=1"], ["rerun", "/nowhere"]])
def test_bad_input_is_code_2_and_one_line(capfd: pytest.CaptureFixture[str], argv: list[str]) -> None:
    tf.config.list_logical_devices()
    assert certify.main(argv) == exit_codes.BAD_INPUT
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("reglab: ") and err.count("\n") == 1
