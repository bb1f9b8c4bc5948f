"""Comparisons as they run: lanes against runs alone, the command, its files, exit codes and signals."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import pytest

from reglab.compare import Comparison, compare, files, presets
from reglab.compare.__main__ import main
from reglab.compare.arms import metrics_of
from reglab.config import Config, ConfigError
from reglab.data import Dataset
from reglab.inputs import exit_codes
from reglab.run.loop import fit

pytestmark = pytest.mark.usefixtures("shared_compilation")

SMALL = ["--hidden=6", "--train_size=60", "--epochs=2", "--label_noise=0.25", "--jit=false"]
PENALTIES = ["--l1=0.001", "--l2=0.002"]
METRICS = metrics_of(["norm_l1", "norm_l2"])
CONFIG = Config(hidden=(5,), activation="tanh", l1=2.0**-7, l2=2.0**-6, epochs=3, batch_size=8, precision="float64",
                jit=False, seed=3)


def strictly(text: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at other things: it takes a second to draw."""
    monkeypatch.setattr(files, "compare_picture", lambda result, folder: None)


@pytest.fixture(scope="module")
def comparison(dataset: Dataset) -> Comparison:
    return compare(CONFIG, 2, dataset)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, str, str, int]:
    """The folder, standard output and error, and exit code of a small comparison with --json."""
    folder = tmp_path_factory.mktemp("compare") / "new"
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main([*SMALL, *PENALTIES, "--seeds=2", "--json", f"--model_dir={folder}"])
    return folder, out.getvalue(), err.getvalue(), code


@pytest.mark.parametrize("arm", range(4))
def test_each_lane_is_the_run_alone(arm: int, comparison: Comparison, dataset: Dataset) -> None:
    place = 2 * arm + 1
    alone = fit(comparison.lanes[place].config(CONFIG), dataset)
    curves = comparison.curves
    for split, mine in (("train", curves.train), ("validation", curves.validation)):
        for at, evaluation in enumerate(alone.evaluations):
            for name in ("data_loss", "accuracy"):
                assert mine[name][at, place] == pytest.approx(getattr(evaluation, split)[name], rel=1e-10)
    final = comparison.result["arms"][arm]["final"]
    assert final["gap"]["values"][1] == pytest.approx(alone.evaluations[-1].gap["data_loss"], rel=1e-10)
    assert final["sparsity"]["values"][1] == alone.result["sparsity"]
    for layer, arrays in alone.parameters.items():
        for name, array in arrays.items():
            np.testing.assert_allclose(curves.parameters[layer][name][place], array, rtol=1e-10, atol=1e-13)


def test_arms_start_alike_and_see_the_same_batches(comparison: Comparison, dataset: Dataset) -> None:
    tiny = compare(dataclasses.replace(CONFIG, l1=1e-300, l2=1e-300), 2, dataset)
    values = [arm["final"]["train_data_loss"]["values"] for arm in tiny.result["arms"]]
    assert values[0] == values[1] == values[2] == values[3]
    assert comparison.result["arms"][0]["final"]["train_data_loss"]["values"] == pytest.approx(values[0], rel=1e-12)


def test_with_vary_order_arms_of_a_seed_share_an_order_of_their_own(dataset: Dataset) -> None:
    done = compare(CONFIG, 2, dataset, vary="order")
    for place, lane in enumerate(done.lanes):
        alone = fit(dataclasses.replace(lane.config(CONFIG), data_seed=lane.seed), dataset)
        for at, evaluation in enumerate(alone.evaluations):
            assert done.curves.validation["data_loss"][at, place] == pytest.approx(evaluation.validation["data_loss"],
                                                                                   rel=1e-10)
        for layer, arrays in alone.parameters.items():
            for name, array in arrays.items():
                np.testing.assert_allclose(done.curves.parameters[layer][name][place], array, rtol=1e-10, atol=1e-13)
    assert [lane.seed for lane in done.lanes] == [3, 4] * 4
    assert (done.result["vary"], done.result["findings"]["over"]) == ("order", "2 seeds and orders on one split")


def test_no_seed_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="--seeds=0"):
        compare(CONFIG, 0, dataset)


def test_standard_output_is_the_result_and_all_else_goes_to_standard_error(
        finished: tuple[pathlib.Path, str, str, int]) -> None:
    folder, out, err, code = finished
    assert code == exit_codes.SUCCESS
    result = strictly(out)
    assert result == strictly((folder / "compare.json").read_text())
    assert [arm["name"] for arm in result["arms"]] == ["none", "l1", "l2", "l1_and_l2"]
    assert result["verdict"] is None
    assert all(arm["final"].keys() == METRICS.keys() for arm in result["arms"])
    assert "L1 and L2" in err
    assert all(metric.title in err for metric in METRICS.values())
    assert "Difference to no penalty, paired by seed" in err
    assert "\n".join(result["findings"]["sentences"]) in err
    assert (result["vary"], result["findings"]["over"]) == ("weights", "2 seeds on one split")
    assert "tensorboard --logdir" in err
    assert max(map(len, err.split("\n\n")[1].splitlines())) <= 89


def test_a_comparison_leaves_its_files_and_nothing_else(finished: tuple[pathlib.Path, str, str, int]) -> None:
    folder = finished[0]
    assert {path.name for path in folder.iterdir()} == {
        "compare.json", "compare.csv", "compare.png", "compare.svg", "tensorboard"}
    assert {str(path.parent.relative_to(folder / "tensorboard")) for path in folder.rglob("*tfevents*")} == {
        "overview",
        *(f"{arm}/{split}" for arm in ("none", "l1", "l2", "l1_and_l2") for split in ("train", "validation"))}


def test_the_spreadsheet_holds_the_numbers_of_the_result(finished: tuple[pathlib.Path, str, str, int]) -> None:
    folder, out, _, _ = finished
    arms = {arm["name"]: arm for arm in json.loads(out)["arms"]}
    with open(folder / "compare.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(arms) * len(METRICS)
    for line in lines:
        arm, metric = arms[line["arm"]], line["metric"]
        assert (float(line["l1"]), float(line["mean"])) == (arm["l1"], arm["final"][metric]["mean"])
        assert line["difference"] == ("" if line["arm"] == "none" else str(arm["difference"][metric]["mean"]))


@pytest.mark.parametrize("content", ["compare.json", "notes.txt"])
def test_a_folder_that_holds_something_is_refused(content: str, tmp_path: pathlib.Path, tree: Callable[..., Any],
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / content).write_text("mine")
    before = tree(tmp_path)
    assert main([*SMALL, *PENALTIES, f"--model_dir={tmp_path}"]) == exit_codes.BAD_INPUT
    assert f"--model_dir={tmp_path} already holds" in capsys.readouterr().err
    assert tree(tmp_path) == before


@pytest.mark.parametrize(("argv", "text"), [
    ([], "nothing to compare"), (["--l1=1", "--seeds=0"], "--seeds=0"), (["--l1=1", "--resume=must"], "resume"),
    (["--l1=1", "--preset=x"], "choose tutorial"),
    (["--l1=1", "--vary=both"], "choose one of weights, order"), (["--preset=tutorial", "--l1=0"], "--l1=0"),
    (["--l1=1", "--penalize=nothing"], "nothing"), (["--l1=1", "--batch_size=99999"], "--batch_size=99999")])
def test_bad_input_is_one_line_and_leaves_nothing(argv: list[str], text: str, tmp_path: pathlib.Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, f"--model_dir={tmp_path / 'new'}"]) == exit_codes.BAD_INPUT
    out, err = capsys.readouterr()
    assert text in err
    assert (out, err.count("\n")) == ("", 1)
    assert not list(tmp_path.iterdir())


def test_the_help_names_every_flag_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == exit_codes.SUCCESS
    shown = capsys.readouterr().out
    assert "--seeds" in shown
    assert "--preset" in shown
    assert "--checkpoint_every" not in shown


@pytest.mark.parametrize(("criteria", "code"), [
    ((presets.Criterion("none", "train_accuracy", "at least", 1.1),), exit_codes.VERDICT_FAILED),
    ((presets.Criterion("none", "train_accuracy", "at least", 0.0),), exit_codes.SUCCESS)])
def test_the_exit_code_is_the_verdict(criteria: tuple[presets.Criterion, ...], code: int, tmp_path: pathlib.Path,
                                      no_picture: None, monkeypatch: pytest.MonkeyPatch,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(presets.CRITERIA, "tutorial", criteria)  # type: ignore[arg-type]
    assert main(["--preset=tutorial", *SMALL, "--seeds=1", f"--model_dir={tmp_path}"]) == code
    result = strictly((tmp_path / "compare.json").read_text())
    assert result["verdict"]["passed"] == (code == exit_codes.SUCCESS)
    assert result["config"]["learning_rate"] == float(presets.PRESETS["tutorial"]["digits"]["learning_rate"])
    assert result["config"]["train_size"] == 60
    assert ("holds" if code == 0 else "MISSED") in capsys.readouterr().out


def test_a_diverged_arm_is_marked_and_told_by_the_exit_code(tmp_path: pathlib.Path, no_picture: None,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--l2=1e30", "--optimizer=sgd", "--seeds=2", f"--model_dir={tmp_path}"]) == exit_codes.DIVERGED
    none, l2 = strictly((tmp_path / "compare.json").read_text())["arms"]
    assert (none["diverged"], l2["diverged"]) == (0, 2)
    assert l2["final"]["validation_accuracy"]["mean"] is None
    assert l2["difference"]["validation_accuracy"]["mean"] is None
    shown = capsys.readouterr().out
    assert "L2 alone: 2 of 2 seeds diverged, left out of its means" in shown
    assert "L2 alone diverged in 2 of 2 seeds and is not compared." in shown


def test_a_stop_signal_ends_it_with_nothing_half_written(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "reglab.compare", "--l1=1e-3", "--epochs=100000", "--hidden=6",
               f"--model_dir={tmp_path / 'new'}", "--evaluate_every=100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("Writing to"):
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == exit_codes.STOPPED
    assert "stopped by SIGINT" in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_arms_that_stop_early_end_with_the_best_state_of_each_lane(dataset: Dataset) -> None:
    config = dataclasses.replace(CONFIG, epochs=9, patience=2, learning_rate=0.2, l1=0.05)
    result = compare(config, 2, dataset, vary="order").result
    saved, arms = result["early_stopping"], result["arms"]
    assert saved["lane_steps"] == 7 * sum(map(sum, saved["trained_epochs"])) <= saved["place_steps"]
    assert len({epochs for arm in saved["trained_epochs"] for epochs in arm}) > 1
    for arm, seed in ((arms[0], 3), (arms[3], 4)):
        of_seed = dataclasses.replace(config, l1=arm["l1"], l2=arm["l2"], seed=seed, data_seed=seed)
        alone = fit(of_seed, dataset).result
        place = seed - 3
        assert saved["trained_epochs"][arms.index(arm)][place] == alone["early_stopping"]["epochs"]
        for name in ("data_loss", "accuracy"):
            np.testing.assert_allclose(arm["final"][f"validation_{name}"]["values"][place], alone["validation"][name],
                                       rtol=1e-10)
