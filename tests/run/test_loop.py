"""`fit`: quiet, and the same to the last bit however often a run was stopped or killed on its way."""

from __future__ import annotations

import dataclasses
import json
import logging
import pathlib
import shutil
import signal
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import numpy as np
import pytest
import tensorflow as tf

import reglab
from reglab.config import Config, ConfigError
from reglab.console import Console, EpochRow
from reglab.data import Dataset, from_arrays
from reglab.engine import pace
from reglab.run.agreement import Agreement
from reglab.run.folder_journal import FolderJournal
from reglab.run.logs.pages import HPARAMS_METRICS, layout
from reglab.run.loop import Diverged, History, Interrupted, fit
from reglab.run.one_run import OneRun
from reglab.signals.stop import StopRequest

pytestmark = pytest.mark.usefixtures("shared_compilation")

# 53 training examples in batches of 8: 7 steps an epoch, 28 in all, the last of each epoch with 5 examples.
CONFIG = Config(hidden=(4,), batch_size=8, epochs=4, l1=0.01, l2=0.02, optimizer="adam", learning_rate=0.01,
                schedule="cosine", warmup_steps=3, summary_every=3, jit=False)
STEPS = 28
PACE = {"perf/steps_per_second", "perf/examples_per_second"}


class Spy(Console):
    """Notes what it is told, and does something when a step is reached."""

    def __init__(self, at_step: Callable[[int], object] | None = None) -> None:
        self.facts: dict[str, str] = {}
        self.steps: list[int] = []
        self.rows: list[EpochRow] = []
        self.messages: list[str] = []
        self.warnings: list[str] = []
        self.finished = 0
        self._at_step = at_step

    def header(self, facts: Mapping[str, str]) -> None:
        self.facts = dict(facts)

    def progress(self, step: int, epoch: int, losses: Mapping[str, float]) -> None:
        assert epoch == (step - 1) // 7 + 1
        self.steps.append(step)
        if self._at_step:
            self._at_step(step)

    def epoch(self, row: EpochRow) -> None:
        self.rows.append(row)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def finish(self) -> None:
        self.finished += 1


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=refuse)


def metrics(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = [strict(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{tag: value for tag, value in line.items() if not tag.startswith("perf/")} for line in lines]


def saved(prefix: pathlib.Path) -> dict[str, bytes]:
    """Every array of a checkpoint: parameters, slots and step."""
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: np.asarray(reader.get_tensor(name)).tobytes() for name in reader.get_variable_to_shape_map()
            if "OBJECT_GRAPH" not in name}


def checkpoints(folder: pathlib.Path) -> list[int]:
    return sorted(int(path.stem.split("-")[1]) for path in (folder / "checkpoints").glob("ckpt-*.index"))


def assert_same_run(folder: pathlib.Path, other: pathlib.Path, read_events: Callable[..., Any]) -> None:
    """The same weights, slots, metrics, events and best state, to the last bit."""
    assert saved(folder / "checkpoints" / f"ckpt-{STEPS}") == saved(other / "checkpoints" / f"ckpt-{STEPS}")
    assert metrics(folder) == metrics(other)
    for split in ("train", "validation"):
        mine, theirs = read_events(folder / split), read_events(other / split)
        assert {tag for tag in {*mine, *theirs} if tag not in mine or tag not in theirs} <= PACE
        for tag in set(mine) - PACE:
            np.testing.assert_equal(mine[tag], theirs[tag], err_msg=tag)
        for tag in PACE & set(mine):  # Each process leaves its first call out, which compiles.
            steps = [step for step, _ in mine[tag]]
            assert set(steps) <= {7, 14, 21, 28} and len(set(steps)) == len(steps)
    assert (strict((folder / "checkpoints" / "best" / "best.json").read_text())
            == strict((other / "checkpoints" / "best" / "best.json").read_text()))
    results = [strict((path / "result.json").read_text()) for path in (folder, other)]
    for name in ("train", "validation", "gap", "sparsity", "weights", "best", "steps", "epochs", "completed"):
        assert results[0][name] == results[1][name], name


def at(folder: pathlib.Path, **fields: Any) -> Config:
    return dataclasses.replace(CONFIG, model_dir=str(folder), **fields)


def calls_of(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Makes every compiled call take so many steps, where epoch and checkpoints allow."""
    monkeypatch.setattr(pace.Pace, "affordable_steps", property(lambda self: steps))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> tuple[pathlib.Path, History]:
    """The run that nothing stopped."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    return folder, fit(at(folder), dataset)


# The Python API.

def test_fit_says_nothing_however_often_it_is_called(dataset: Dataset, capfd: pytest.CaptureFixture[str],
                                                     caplog: pytest.LogCaptureFixture) -> None:
    tf.config.list_logical_devices()
    capfd.readouterr()
    tensorflow_logger = logging.getLogger("tensorflow")
    tensorflow_logger.addHandler(caplog.handler)
    try:
        for seed in range(7):  # TensorFlow would warn of repeated tracing from the fifth or sixth on.
            assert isinstance(reglab.fit(dataclasses.replace(CONFIG, hidden=(), epochs=2, seed=seed), dataset),
                              reglab.History)
    finally:
        tensorflow_logger.removeHandler(caplog.handler)
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


def test_arrays_may_be_passed_in_and_nothing_need_be_written(tmp_path: pathlib.Path, tree: Callable[..., Any],
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 3))
    history = fit(dataclasses.replace(CONFIG, epochs=12, learning_rate=0.1),
                  from_arrays(x, (x[:, 0] > 0).astype(int), name="mine"))
    assert history.result["dataset"].startswith("mine: 48 training and 12 validation")
    assert history.result["train"]["accuracy"] > 0.9
    assert history.result["model_dir"] is None
    assert tree(tmp_path) == {}


def test_a_history_tells_every_evaluation_and_the_final_weights(reference: tuple[pathlib.Path, History]) -> None:
    _, history = reference
    assert [(one.epoch, one.step) for one in history.evaluations] == [(1, 7), (2, 14), (3, 21), (4, 28)]
    assert {layer: {name: array.shape for name, array in arrays.items()}
            for layer, arrays in history.parameters.items()} == {
                "dense_0": {"kernel": (6, 4), "bias": (4,)}, "logits": {"kernel": (4, 3), "bias": (3,)}}
    assert history.evaluations[-1].train["data_loss"] < history.evaluations[0].train["data_loss"]
    kernels = [arrays["kernel"].astype(np.float64) for arrays in history.parameters.values()]
    np.testing.assert_allclose(history.result["train"]["l1"], 0.01 * sum(np.abs(w).sum() for w in kernels), rtol=1e-6)
    np.testing.assert_allclose(history.result["train"]["l2"], 0.02 * sum((w ** 2).sum() for w in kernels), rtol=1e-6)


# What a run leaves.

def test_a_run_leaves_what_the_design_says(reference: tuple[pathlib.Path, History]) -> None:
    folder, history = reference
    assert {path.name for path in folder.iterdir()} == {"config.json", "data.json", "run.json", "result.json",
                                                        "metrics.jsonl", "train", "validation", "checkpoints"}
    assert Config.from_file(folder / "config.json") == history.config
    assert strict((folder / "result.json").read_text()) == history.result
    assert checkpoints(folder) == [14, 21, 28]
    assert history.result["penalized_kernels"] == ["dense_0", "logits"]
    assert history.result["completed"] is True


def test_every_measured_step_is_told_once(reference: tuple[pathlib.Path, History],
                                          read_events: Callable[..., Any]) -> None:
    folder, _ = reference
    lines = metrics(folder)
    assert [line["step"] for line in lines if "learning_rate" in line] == list(range(0, STEPS, 3))
    assert [(line["step"], line["split"]) for line in lines if "epoch/data_loss" in line] == [
        (step, split) for step in (7, 14, 21, 28) for split in ("train", "validation")]
    assert [step for step, _ in read_events(folder / "train")["learning_rate"]] == list(range(0, STEPS, 3))
    assert [step for step, _ in read_events(folder / "validation")["epoch/data_loss"]] == [7, 14, 21, 28]


def test_the_total_is_data_loss_plus_penalty_at_every_written_point(reference: tuple[pathlib.Path, History],
                                                                    read_events: Callable[..., Any]) -> None:
    folder, _ = reference
    written = 0
    for line in metrics(folder):
        prefix, penalty = ("epoch", "epoch/penalty") if "epoch/total" in line else ("train_batch", "penalty/total")
        np.testing.assert_allclose(line[f"{prefix}/total"], line[f"{prefix}/data_loss"] + line[penalty], rtol=1e-6)
        if "penalty/total" in line:
            np.testing.assert_allclose(line["penalty/total"], line["penalty/l1"] + line["penalty/l2"], rtol=1e-6)
        written += 1
    assert written == 10 + 2 * 4
    for split in ("train", "validation"):
        points = read_events(folder / split)
        for total, data, penalty in zip(points["epoch/total"], points["epoch/data_loss"], points["epoch/penalty"],
                                        strict=True):
            assert total[0] == data[0] == penalty[0]
            np.testing.assert_allclose(total[1], data[1] + penalty[1], rtol=1e-6)


def test_charts_and_columns_name_tags_that_are_written(reference: tuple[pathlib.Path, History],
                                                       read_events: Callable[..., Any]) -> None:
    folder, _ = reference
    written = {split: set(read_events(folder / split)) for split in ("train", "validation")}
    for charts in layout(["l1", "l2"]).values():
        for tags in charts.values():
            assert set(tags) <= written["train"] | written["validation"]
    assert set(HPARAMS_METRICS) | {"_hparams_/session_start_info"} <= written["validation"]


def test_the_tags_of_the_design(reference: tuple[pathlib.Path, History], read_events: Callable[..., Any]) -> None:
    shared = {"epoch/total", "epoch/data_loss", "epoch/penalty", "generalization/accuracy", "penalty/total",
              "penalty/l1", "penalty/l2", "sparsity/total",
              *(f"{kind}/{layer}/{norm}" for kind in ("penalty", "norm") for layer in ("dense_0", "logits")
                for norm in ("l1", "l2")), "sparsity/dense_0", "sparsity/logits"}
    folder, _ = reference
    assert shared <= set(read_events(folder / "validation"))
    assert shared | {"gradient_norm/data", "gradient_norm/penalty", "learning_rate", "perf/steps_per_second",
                     "perf/examples_per_second"} <= set(read_events(folder / "train"))


def test_evaluations_may_be_rare_but_the_last_is_there(tmp_path: pathlib.Path, dataset: Dataset,
                                                       reference: tuple[pathlib.Path, History]) -> None:
    spy = Spy()
    history = fit(at(tmp_path, evaluate_every=3), dataset, console=spy)
    assert [one.epoch for one in history.evaluations] == [row.epoch for row in spy.rows] == [3, 4]
    assert history.result["validation"] == reference[1].result["validation"]
    assert checkpoints(tmp_path) == [14, 21, 28]


def test_histograms_and_no_measured_steps(tmp_path: pathlib.Path, dataset: Dataset,
                                          read_events: Callable[..., Any],
                                          reference: tuple[pathlib.Path, History]) -> None:
    history = fit(at(tmp_path, histograms=True, summary_every=0), dataset)
    points = read_events(tmp_path / "train")
    assert [step for step, _ in points["weights/dense_0/kernel"]] == [7, 14, 21, 28]
    assert "learning_rate" not in points
    np.testing.assert_equal(history.parameters, reference[1].parameters)


def test_the_console_hears_it_all(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    spy = Spy()
    fit(at(tmp_path), dataset, console=spy)
    assert spy.facts["Penalized"].startswith("dense_0, logits")
    assert spy.steps == [7, 14, 21, 28]
    assert [(row.epoch, row.step) for row in spy.rows] == [(1, 7), (2, 14), (3, 21), (4, 28)]
    assert spy.finished
    assert spy.warnings == []


# The size of the compiled calls.

@pytest.mark.parametrize("steps", [1, 4])
def test_the_size_of_calls_changes_nothing(tmp_path: pathlib.Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch,
                                           read_events: Callable[..., Any], steps: int,
                                           reference: tuple[pathlib.Path, History]) -> None:
    calls_of(monkeypatch, steps)
    spy = Spy()
    fit(at(tmp_path), dataset, console=spy)
    assert spy.steps[:4] == ([1, 2, 3, 4] if steps == 1 else [4, 7, 11, 14])
    assert_same_run(tmp_path, reference[0], read_events)


def test_calls_take_as_long_as_they_may(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FIRST_CALL_STEPS", 2)
    monkeypatch.setattr(pace, "SECONDS_PER_CALL", 0.0)
    spy = Spy()
    fit(dataclasses.replace(CONFIG, epochs=1), dataset, console=spy)
    assert spy.steps == [2, 4, 5, 6, 7]  # The first is not timed, for it compiles.


def test_checkpoints_inside_an_epoch(tmp_path: pathlib.Path, dataset: Dataset, read_events: Callable[..., Any],
                                     reference: tuple[pathlib.Path, History]) -> None:
    spy = Spy()
    fit(at(tmp_path, checkpoint_every=5, keep=99), dataset, console=spy)
    assert checkpoints(tmp_path) == [5, 10, 15, 20, 25, 28]
    assert spy.steps == [5, 7, 10, 14, 15, 20, 21, 25, 28]
    assert_same_run(tmp_path, reference[0], read_events)


# Stopped, and going on.

def stop_at(*steps: int, number: signal.Signals = signal.SIGTERM) -> Spy:
    return Spy(lambda step: step in steps and signal.raise_signal(number))


@pytest.mark.parametrize("step", [2, 7, 25])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: pathlib.Path, dataset: Dataset,
                                                monkeypatch: pytest.MonkeyPatch, read_events: Callable[..., Any],
                                                reference: tuple[pathlib.Path, History], step: int) -> None:
    calls_of(monkeypatch, 2)
    stopper = stop_at(step)
    with pytest.raises(Interrupted, match=f"stopped by SIGTERM after step {step}, saved") as caught:
        fit(at(tmp_path), dataset, console=stopper)
    assert caught.value.step == step == checkpoints(tmp_path)[-1]
    assert stopper.finished
    assert not (tmp_path / "result.json").exists()
    spy = Spy()
    history = fit(at(tmp_path, resume="must"), dataset, console=spy)
    assert spy.messages[0] == f"Resumed after step {step} of {STEPS}."
    assert history.result["resumed_from"] == step
    np.testing.assert_equal(history.parameters, reference[1].parameters)
    assert_same_run(tmp_path, reference[0], read_events)


def test_a_run_stopped_many_times_goes_on_to_the_same_bits_under_xla(tmp_path: pathlib.Path, dataset: Dataset,
                                                                     monkeypatch: pytest.MonkeyPatch,
                                                                     read_events: Callable[..., Any]) -> None:
    fit(at(tmp_path / "whole", jit=True), dataset)
    calls_of(monkeypatch, 3)
    for step, number in ((3, signal.SIGINT), (17, signal.SIGTERM)):
        with pytest.raises(Interrupted, match=f"{number.name} after step {step}"):
            fit(at(tmp_path / "stopped", jit=True), dataset, console=stop_at(step, number=number))
    fit(at(tmp_path / "stopped", jit=True), dataset)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole", read_events)


def test_a_stop_before_the_first_step(tmp_path: pathlib.Path, dataset: Dataset, read_events: Callable[..., Any],
                                      reference: tuple[pathlib.Path, History]) -> None:
    class Early(Spy):
        def start(self, step: int, total_steps: int, epochs: int | None = None) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="SIGINT after step 0, saved"):
        fit(at(tmp_path), dataset, console=Early())
    fit(at(tmp_path), dataset)
    assert_same_run(tmp_path, reference[0], read_events)


def test_a_stop_without_a_folder_says_that_nothing_is_saved(dataset: Dataset) -> None:
    with pytest.raises(Interrupted, match="after step 7, nothing saved"):
        fit(CONFIG, dataset, console=stop_at(7))


class Workers:
    """Replicas of two workers: `words` are what the chief brings to each gathering, or an error."""

    def __init__(self, *words: Any) -> None:
        self.words, self.brought = list(words), []

    def gather_numbers(self, *numbers: float) -> np.ndarray:
        self.brought.append(numbers)
        word = self.words.pop(0)
        if isinstance(word, Exception):
            raise word
        return np.array([word, numbers], float)


def stopping(replicas: Any, saves: bool, written: list[bool]) -> Any:
    """As much of a run as stopping needs."""
    return types.SimpleNamespace(
        _save=lambda: saves, _journal=types.SimpleNamespace(wait=lambda seconds: written.pop(0)), _until=None,
        _training=types.SimpleNamespace(steps_taken=7), _workers=Agreement(replicas), _stop=StopRequest())


LOST = tf.errors.UnavailableError(None, None, "")


def test_the_others_say_saved_when_the_chief_has_saved() -> None:
    others = Workers((0, 1), (0, 1), (1, 1))
    with pytest.raises(Interrupted, match="stopped by a signal to another worker after step 7, saved"):
        OneRun._save_and_stop(stopping(others, False, [True] * 3))
    assert not others.words
    chief = Workers((0, 1), (1, 1))
    with pytest.raises(Interrupted, match="after step 7, saved"):
        OneRun._save_and_stop(stopping(chief, True, [False, True]))
    assert chief.brought == [(False, True), (True, True)]


def test_a_chief_that_has_saved_says_so_whoever_is_lost_and_nobody_else_does() -> None:
    with pytest.raises(Interrupted, match="after step 7, saved"):
        OneRun._save_and_stop(stopping(Workers(LOST), True, [True]))
    for saves, written in ((True, [False]), (False, [True])):
        with pytest.raises(tf.errors.UnavailableError):
            OneRun._save_and_stop(stopping(Workers(LOST), saves, written))
    with pytest.raises(tf.errors.UnavailableError):  # The chief is lost while it saves.
        OneRun._save_and_stop(stopping(Workers((0, 1), LOST), False, [True] * 2))


def test_the_signal_handlers_come_back(dataset: Dataset) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        fit(CONFIG, dataset, console=stop_at(7))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


# Killed, and going on.

def killed_copies(config: Config, dataset: Dataset, kept: Iterable[int], monkeypatch: pytest.MonkeyPatch,
                  folder: pathlib.Path) -> None:
    """Runs `config`, and copies its folder to `folder`/<step> as a kill right after those steps would leave it.

    Logs are flushed at once, so that what a kill leaves of them lies beyond the checkpoint, which is on disk.
    """
    write = FolderJournal.write_reports
    with monkeypatch.context() as patch:
        patch.setattr(FolderJournal, "write_reports", lambda self, calls: (
            write(self, calls), self._flush(), self._checkpoints.wait()))
        calls_of(patch, 2)
        fit(config, dataset, console=Spy(lambda step: step in kept and shutil.copytree(
            str(config.model_dir), folder / str(step))))


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: pathlib.Path, dataset: Dataset,
                                               monkeypatch: pytest.MonkeyPatch, read_events: Callable[..., Any],
                                               reference: tuple[pathlib.Path, History]) -> None:
    restored = {2: 0, 7: 0, 13: 7, 27: 21}
    killed_copies(at(tmp_path / "run"), dataset, restored, monkeypatch, tmp_path)
    for step, checkpoint in restored.items():
        folder = tmp_path / str(step)
        measured = [line["step"] for line in metrics(folder) if "learning_rate" in line]
        assert measured == list(range(0, step, 3))
        if step == 13:  # Torn in the middle of a line and of a record.
            for path in (folder / "metrics.jsonl", *(folder / "train").iterdir()):
                path.write_bytes(path.read_bytes()[:-9])
        history = fit(at(folder), dataset)
        assert history.result["resumed_from"] == checkpoint
        assert_same_run(folder, reference[0], read_events)


def test_a_run_killed_between_the_best_state_and_the_checkpoint(tmp_path: pathlib.Path, dataset: Dataset,
                                                                monkeypatch: pytest.MonkeyPatch,
                                                                read_events: Callable[..., Any],
                                                                reference: tuple[pathlib.Path, History]) -> None:
    def kill(self: FolderJournal) -> bool:
        self._flush()
        raise SystemExit

    folder = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(FolderJournal, "save", kill)
        fit(at(folder), dataset)
    assert (folder / "checkpoints" / "best" / "best.json").exists()
    assert checkpoints(folder) == []
    fit(at(folder), dataset)
    assert_same_run(folder, reference[0], read_events)


def test_a_run_killed_before_its_result_trains_no_more(tmp_path: pathlib.Path, dataset: Dataset,
                                                       read_events: Callable[..., Any],
                                                       reference: tuple[pathlib.Path, History]) -> None:
    shutil.copytree(reference[0], tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    spy = Spy()
    history = fit(at(tmp_path / "run"), dataset, console=spy)
    assert spy.steps == []
    assert [one.step for one in history.evaluations] == [STEPS]
    assert_same_run(tmp_path / "run", reference[0], read_events)


@pytest.mark.parametrize("damaged", [[28], [28, 21]])
def test_damaged_checkpoints_cost_steps_but_not_the_result(tmp_path: pathlib.Path, dataset: Dataset,
                                                           read_events: Callable[..., Any], damaged: list[int],
                                                           reference: tuple[pathlib.Path, History]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(reference[0], folder)
    for step in damaged:
        path = folder / "checkpoints" / f"ckpt-{step}.data-00000-of-00001"
        path.write_bytes(path.read_bytes()[:40])
    spy = Spy()
    history = fit(at(folder), dataset, console=spy)
    assert len(spy.warnings) == len(damaged)
    assert history.result["resumed_from"] == 28 - 7 * len(damaged)
    assert_same_run(folder, reference[0], read_events)


def test_a_complete_run_is_not_trained_again(tmp_path: pathlib.Path, dataset: Dataset, tree: Callable[..., Any],
                                             reference: tuple[pathlib.Path, History]) -> None:
    shutil.copytree(reference[0], tmp_path / "run")
    before = metrics(tmp_path / "run"), (tmp_path / "run" / "result.json").read_bytes()
    files, spy = tree(tmp_path / "run").keys(), Spy()
    history = fit(at(tmp_path / "run"), dataset, console=spy)
    assert tree(tmp_path / "run").keys() == files  # No event file without events either.
    assert spy.messages == [f"This run is already complete: {STEPS} steps."]
    assert spy.steps == []
    assert history.result == reference[1].result
    np.testing.assert_equal(history.parameters, reference[1].parameters)
    assert (metrics(tmp_path / "run"), (tmp_path / "run" / "result.json").read_bytes()) == before


def test_another_configuration_is_refused_and_nothing_is_written(tmp_path: pathlib.Path, dataset: Dataset,
                                                                 tree: Callable[..., Any],
                                                                 reference: tuple[pathlib.Path, History]) -> None:
    shutil.copytree(reference[0], tmp_path / "run")
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match="l1: 0.5, not 0.01"):
        fit(at(tmp_path / "run", l1=0.5), dataset)
    assert tree(tmp_path) == before


# Diverged.

def finite(folder: pathlib.Path) -> bool:
    """Whether every array of every checkpoint is, the best included."""
    prefixes = [path.with_suffix("") for path in (folder / "checkpoints").rglob("ckpt-*.index")]
    readers = [tf.train.load_checkpoint(str(prefix)) for prefix in prefixes]
    return all(np.isfinite(reader.get_tensor(name)).all() for reader in readers
               for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name)


@pytest.mark.parametrize("fields", [
    {},  # Within an epoch.
    {"checkpoint_every": 1},
    {"batch_size": 53, "epochs": 1},  # At the only step: no loss tells of it any more.
    {"batch_size": 53, "checkpoint_every": 1, "evaluate_every": 2, "epochs": 2},
])
def test_a_diverged_run_says_so_and_saves_no_broken_weights(tmp_path: pathlib.Path, dataset: Dataset,
                                                            fields: dict[str, Any]) -> None:
    spy = Spy()
    config = at(tmp_path, **{"optimizer": "sgd", "schedule": "constant", "warmup_steps": 0, "learning_rate": 1e38,
                             **fields})
    with pytest.raises(Diverged, match=r"not finite at step \d+: try a lower --learning_rate") as caught:
        fit(config, dataset, console=spy)
    assert caught.value.step <= 7
    assert spy.finished
    assert finite(tmp_path)
    assert not (tmp_path / "result.json").exists()
    assert not (tmp_path / "checkpoints" / "best" / "best.json").exists()
    metrics(tmp_path)  # Strict JSON.


def test_weights_that_one_update_broke_are_not_saved_before_a_loss_tells(tmp_path: pathlib.Path,
                                                                         dataset: Dataset) -> None:
    steep = from_arrays(1000 * dataset.train.x, dataset.train.y, 1000 * dataset.validation.x, dataset.validation.y)
    config = at(tmp_path, optimizer="sgd", schedule="constant", warmup_steps=0, learning_rate=3e38, checkpoint_every=1)
    with pytest.raises(Diverged, match="at step 1:"):
        fit(config, steep)
    assert checkpoints(tmp_path) == []


def test_the_step_where_it_diverged_is_named(dataset: Dataset) -> None:
    config = dataclasses.replace(CONFIG, optimizer="sgd", schedule="constant", warmup_steps=0, learning_rate=1e38)
    with pytest.raises(Diverged) as caught:
        fit(config, dataset)
    assert caught.value.step in (1, 2)  # The loss of step 0 is that of the initial weights.
