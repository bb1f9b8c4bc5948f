"""Event files as TensorBoard's own reader sees them, and `metrics.jsonl` as strict JSON."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

from reglab.core.terms import SPARSITY_THRESHOLD
from reglab.run.logs.pages import HPARAMS_METRICS, layout
from reglab.run.logs.summaries import MetricsFile, RunWriter
from reglab.run.logs.tags import meanings

Points = Callable[[pathlib.Path], dict[str, list[tuple[int, Any]]]]


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def lines(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


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


def test_the_layout_puts_data_loss_and_penalty_on_one_chart_and_no_two_tags_else(tmp_path: pathlib.Path,
                                                                                 read_events: Points) -> None:
    writer = RunWriter(tmp_path)
    writer.describe({"l1": 0.5})
    writer.close()
    ((step, text),) = read_events(tmp_path)["custom_scalars__config__"]
    page = layout_pb2.Layout.FromString(text.item())
    assert step == 0
    assert [category.title for category in page.category] == list(layout(["l1"]))
    band = page.category[0].chart[0].margin.series[0]
    assert (band.value, band.lower, band.upper) == ("epoch/total", "epoch/data_loss", "epoch/total")
    charts = [list(chart.multiline.tag) for category in page.category for chart in category.chart[:]][1:]
    assert all(len(tags) == 1 for tags in charts), "TensorBoard gives all lines of a run one color"


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


def test_the_meaning_of_every_tag_is_told_with_the_formulas_of_the_registry() -> None:
    told = " ".join(" ".join(meaning) for meaning in meanings(["l1", "l2"]))
    assert f"≤ {SPARSITY_THRESHOLD:g}" in told
    for text in ("sum \\|W\\| for l1, sqrt(sum W^2) for l2", "`penalty/l1`, `penalty/l2`", "`epoch/data_loss`"):
        assert text in told
    for charts in layout(["l1", "l2"]).values():
        for tags in charts.values():
            assert all(f"`{tag}`" in told for tag in tags)


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
