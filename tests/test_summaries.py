"""Event files as TensorBoard's own reader sees them, `metrics.jsonl` as strict JSON, and what a resume drops."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

from reglab.summaries import HPARAMS_METRICS, LAYOUT, MetricsFile, RunWriter, forget_after

Points = Callable[[pathlib.Path], dict[str, list[tuple[int, Any]]]]


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def lines(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


def event_file(folder: pathlib.Path) -> pathlib.Path:
    (path,) = folder.glob("*tfevents*")
    return path


# Event files.

def test_scalars_are_read_back_in_float32_at_their_steps(tmp_path: pathlib.Path, read_events: Points) -> None:
    writer = RunWriter(tmp_path)
    for step in (0, 7, 2**40):
        writer.scalars(step, {"loss/data": 0.1 + step, "accuracy": 1.0}, 1700000000.5)
    writer.close()
    found = read_events(tmp_path)
    assert found["loss/data"] == [(step, np.float32(0.1 + step)) for step in (0, 7, 2**40)]
    assert found["accuracy"] == [(step, np.float32(1)) for step in (0, 7, 2**40)]
    assert all(value.dtype == np.float32 and value.shape == () for _, value in found["loss/data"])


def test_tensorboard_takes_every_tag_for_a_scalar_with_its_time(tmp_path: pathlib.Path) -> None:
    writer = RunWriter(tmp_path)
    writer.scalars(1, {"a": 1.0}, 1700000000.5)
    writer.scalars(2, {"a": 2.0, "b/c": 3.0}, 1700000001.5)
    writer.close()
    accumulator = EventAccumulator(str(tmp_path), {"tensors": 0}).Reload()
    assert set(accumulator.PluginTagToContent("scalars")) == {"a", "b/c"}
    assert [event.wall_time for event in accumulator.Tensors("a")] == [1700000000.5, 1700000001.5]


def test_what_is_not_finite_stays_so_in_event_files(tmp_path: pathlib.Path, read_events: Points) -> None:
    writer = RunWriter(tmp_path)
    writer.scalars(1, {"nan": math.nan, "inf": -math.inf}, 0.0)
    writer.close()
    found = read_events(tmp_path)
    assert np.isnan(found["nan"][0][1]) and found["inf"][0][1] == -np.inf


def test_what_was_flushed_can_be_read_while_the_writer_is_open(tmp_path: pathlib.Path, read_events: Points) -> None:
    writer = RunWriter(tmp_path)
    for step in range(2000):
        writer.scalars(step, {"a": float(step)}, 0.0)
    writer.flush()
    assert [step for step, _ in read_events(tmp_path)["a"]] == list(range(2000))
    writer.close()


def test_the_layout_puts_data_loss_and_penalty_on_one_chart(tmp_path: pathlib.Path, read_events: Points) -> None:
    writer = RunWriter(tmp_path)
    writer.describe({"l1": 0.5})
    writer.close()
    ((step, text),) = read_events(tmp_path)["custom_scalars__config__"]
    layout = layout_pb2.Layout.FromString(text.item())
    assert step == 0
    assert [category.title for category in layout.category] == [title for title, _ in LAYOUT]
    assert list(layout.category[0].chart[0].multiline.tag) == ["^loss/data$", "^penalty/total$"]


def test_the_hyperparameters_are_columns_with_this_runs_values(tmp_path: pathlib.Path) -> None:
    writer = RunWriter(tmp_path)
    writer.describe({"l1": 0.5, "optimizer": "adam", "epochs": 3})
    writer.close()
    contents = {tag: plugin_data_pb2.HParamsPluginData.FromString(content) for tag, content in
                EventAccumulator(str(tmp_path), {"tensors": 0}).Reload().PluginTagToContent("hparams").items()}
    experiment = contents["_hparams_/experiment"].experiment
    assert [info.name for info in experiment.hparam_infos] == ["l1", "optimizer", "epochs"]
    assert [info.type == api_pb2.DATA_TYPE_FLOAT64 for info in experiment.hparam_infos] == [True, False, True]
    assert [info.name.tag for info in experiment.metric_infos] == list(HPARAMS_METRICS)
    assert {info.name.group for info in experiment.metric_infos} == {""}  # In this very run.
    values = contents["_hparams_/session_start_info"].session_start_info.hparams
    assert (values["l1"].number_value, values["optimizer"].string_value, values["epochs"].number_value) == (
        0.5, "adam", 3)


def test_a_histogram_counts_every_entry_of_its_array(tmp_path: pathlib.Path, read_events: Points) -> None:
    writer = RunWriter(tmp_path)
    writer.histograms(5, {"evaluation/logits/kernel": np.arange(60, dtype=np.float32).reshape(4, 15)})
    writer.close()
    ((step, buckets),) = read_events(tmp_path)["evaluation/logits/kernel"]
    assert step == 5
    assert buckets[:, 2].sum() == 60
    assert (buckets[0, 0], buckets[-1, 1]) == (0, 59)


# metrics.jsonl.

def test_metrics_are_one_strict_json_object_a_line(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsFile(path)
    metrics.write(3, "train", {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.1, "e": np.float32(0.5)})
    metrics.close()
    assert lines(path) == [{"step": 3, "split": "train", "a": None, "b": None, "c": None, "d": 0.1, "e": 0.5}]


def test_metrics_are_appended_and_readable_once_flushed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "metrics.jsonl"
    first = MetricsFile(path)
    first.write(1, "train", {})
    first.close()
    second = MetricsFile(path)
    second.write(2, "train", {})
    second.flush()
    assert [line["step"] for line in lines(path)] == [1, 2]
    second.close()


# What a resume drops.

def write_run(folder: pathlib.Path) -> None:
    """Measured steps 0, 5 … 25 and evaluations after 10 and 20 updates, in one event file a split and metrics.jsonl."""
    metrics = MetricsFile(folder / "metrics.jsonl")
    writers = {split: RunWriter(folder / split) for split in ("train", "validation")}
    writers["train"].describe({"l1": 0.5})
    for step in range(0, 30, 5):
        if step in (10, 20):
            for split, writer in writers.items():
                metrics.write(step, split, {"evaluation/loss/data": step / 2, "gap/data": 1.0})
                writer.scalars(step, {"evaluation/loss/data": step / 2, "gap/data": 1.0}, 0.0)
            writers["train"].histograms(step, {"evaluation/logits/kernel": np.ones(3)})
        metrics.write(step, "train", {"loss/data": 1.0 + step})
        writers["train"].scalars(step, {"loss/data": 1.0 + step}, 0.0)
    metrics.close()
    for writer in writers.values():
        writer.close()


def steps_of(folder: pathlib.Path, read_events: Points) -> dict[str, list[int]]:
    """Where the measured steps and the evaluations are, by file and kind."""
    found = {f"{split} {tag}": [step for step, _ in points] for split in ("train", "validation")
             for tag, points in read_events(folder / split).items()}
    for tag in ("loss/data", "evaluation/loss/data"):
        found[f"metrics {tag}"] = [line["step"] for line in lines(folder / "metrics.jsonl") if tag in line]
    return {name: steps for name, steps in found.items() if steps}


@pytest.mark.parametrize(("last", "measured", "evaluated"), [
    (10, [0, 5], [10]),  # The evaluation after 10 updates stays; the step measured before update 11 will come again.
    (11, [0, 5, 10], [10]), (9, [0, 5], []), (20, [0, 5, 10, 15], [10, 20]), (99, [*range(0, 30, 5)], [10, 20]),
    (1, [0], [])])
def test_what_lies_beyond_the_restored_step_goes_and_nothing_else(
        tmp_path: pathlib.Path, read_events: Points, last: int, measured: list[int], evaluated: list[int]) -> None:
    write_run(tmp_path)
    forget_after(tmp_path, last)
    found = steps_of(tmp_path, read_events)
    assert found["train loss/data"] == found["metrics loss/data"] == measured
    for name in ("train evaluation/loss/data", "train gap/data", "train evaluation/logits/kernel",
                 "validation evaluation/loss/data"):
        assert found.get(name, []) == evaluated
    assert found.get("metrics evaluation/loss/data", []) == [step for step in evaluated for _ in range(2)]
    assert found["train custom_scalars__config__"] == [0]


def test_a_run_without_a_checkpoint_starts_with_empty_logs(tmp_path: pathlib.Path, read_events: Points) -> None:
    write_run(tmp_path)
    forget_after(tmp_path, 0)
    assert steps_of(tmp_path, read_events) == {}
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_forgetting_twice_is_forgetting_once(tmp_path: pathlib.Path, tree: Callable[..., Any]) -> None:
    write_run(tmp_path)
    forget_after(tmp_path, 12)
    once = tree(tmp_path)
    forget_after(tmp_path, 12)
    assert tree(tmp_path) == once
    forget_after(tmp_path, 99)
    assert tree(tmp_path) == once


def test_what_stays_is_not_changed_by_a_byte(tmp_path: pathlib.Path, tree: Callable[..., Any]) -> None:
    write_run(tmp_path)
    before = tree(tmp_path)
    forget_after(tmp_path, 99)
    assert tree(tmp_path) == before


def test_the_name_of_the_folder_is_no_pattern(tmp_path: pathlib.Path, read_events: Points) -> None:
    folder = tmp_path / "l1=[0.1]*"
    folder.mkdir()
    write_run(folder)
    forget_after(folder, 10)
    assert steps_of(folder, read_events)["train loss/data"] == [0, 5]


@pytest.mark.parametrize("cut", [1, 4, 9, 25])
def test_a_line_or_record_torn_by_the_kill_goes(tmp_path: pathlib.Path, read_events: Points, cut: int) -> None:
    write_run(tmp_path)
    for path in (tmp_path / "metrics.jsonl", event_file(tmp_path / "train")):
        path.write_bytes(path.read_bytes()[:-cut])
    forget_after(tmp_path, 99)
    found = steps_of(tmp_path, read_events)
    assert found["train loss/data"] == [0, 5, 10, 15, 20]
    # Only a missing line end leaves the line's JSON whole.
    assert found["metrics loss/data"] == ([0, 5, 10, 15, 20, 25] if cut == 1 else [0, 5, 10, 15, 20])
    assert (tmp_path / "metrics.jsonl").read_bytes().endswith(b"}\n")


@pytest.mark.parametrize("junk", [b"\xff\xfe\x00", b"null\n", b"[1]\n", b'{"split": "train"}\n', b"\0" * 100,
                                  b'{"step": NaN}\n', b'{"step": null}\n'])
def test_what_is_no_metrics_line_goes(tmp_path: pathlib.Path, read_events: Points, junk: bytes) -> None:
    write_run(tmp_path)
    with open(tmp_path / "metrics.jsonl", "ab") as file:
        file.write(junk)
    forget_after(tmp_path, 99)
    assert steps_of(tmp_path, read_events)["metrics loss/data"] == [0, 5, 10, 15, 20, 25]


def test_an_empty_or_missing_file_is_no_trouble(tmp_path: pathlib.Path, tree: Callable[..., Any]) -> None:
    forget_after(tmp_path, 5)
    forget_after(tmp_path / "missing", 5)
    assert tree(tmp_path) == {}
    write_run(tmp_path)
    for path in (tmp_path / "metrics.jsonl", event_file(tmp_path / "validation")):
        path.write_bytes(b"")
    forget_after(tmp_path, 99)
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def test_a_killed_forgetting_leaves_nothing_behind_after_the_next(tmp_path: pathlib.Path,
                                                                  tree: Callable[..., Any]) -> None:
    write_run(tmp_path)
    names = set(tree(tmp_path))
    for path in (tmp_path / "metrics.jsonl", event_file(tmp_path / "train")):
        path.with_name(f".{path.name}.tmp").write_bytes(path.read_bytes()[:50])
    forget_after(tmp_path, 10)
    assert set(tree(tmp_path)) == names


def test_the_axis_is_unbroken_when_another_process_goes_on(tmp_path: pathlib.Path, read_events: Points) -> None:
    write_run(tmp_path)
    forget_after(tmp_path, 12)
    writer = RunWriter(tmp_path / "train")
    for step in (15, 20):
        writer.scalars(step, {"loss/data": 1.0 + step}, 0.0)
    writer.close()
    assert len(list((tmp_path / "train").iterdir())) == 2
    assert read_events(tmp_path / "train")["loss/data"] == [(step, np.float32(1 + step)) for step in range(0, 25, 5)]
