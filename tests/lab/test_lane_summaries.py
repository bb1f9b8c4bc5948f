"""The TensorBoard runs of lanes, as TensorBoard's reader sees them."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from reglab.config import Config
from reglab.lab.lane_summaries import write_lane_runs, write_overview
from reglab.lab.lanes import Lane, LaneCurves
from reglab.run.logs.pages import HPARAMS_METRICS, layout

Points = Callable[[pathlib.Path], dict[str, list[tuple[int, Any]]]]
LANES = [Lane(l1=l1, l2=0.0, learning_rate=0.01, seed=seed) for l1 in (0.0, 0.5) for seed in (3, 4)]


@pytest.fixture
def curves() -> LaneCurves:
    rng = np.random.default_rng(0)

    def some() -> np.ndarray:
        return rng.random((2, len(LANES)))

    return LaneCurves(np.array([2, 4]), {"data_loss": some(), "accuracy": some()},
                      {"data_loss": some(), "accuracy": some()},
                      {tag: some() for tag in ("penalty/total", "penalty/l1", "penalty/l2", "sparsity/total",
                                               "gradient_norm/penalty")}, {})


def hyperparameters_in(folder: pathlib.Path) -> dict[str, Any]:
    content = EventAccumulator(str(folder), {"tensors": 0}).Reload().PluginTagToContent("hparams")
    start = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/session_start_info"]).session_start_info
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    return {"name": start.group_name, **values}


def test_a_run_is_the_mean_over_its_lanes(tmp_path: pathlib.Path, curves: LaneCurves, read_events: Points) -> None:
    write_lane_runs(tmp_path, {"none": [0, 1], "some": [2, 3]}, LANES, curves, Config(), 7, {})
    for name, places in (("none", [0, 1]), ("some", [2, 3])):
        for split, numbers in (("train", curves.train), ("validation", curves.validation)):
            points = read_events(tmp_path / name / split)
            for tag, values in (("epoch/data_loss", numbers["data_loss"]),
                                ("generalization/accuracy", numbers["accuracy"]),
                                ("penalty/total", curves.weights["penalty/total"]),
                                ("epoch/penalty", curves.weights["penalty/total"]),
                                ("epoch/total", numbers["data_loss"] + curves.weights["penalty/total"])):
                assert [step for step, _ in points[tag]] == [14, 28]
                np.testing.assert_allclose([value for _, value in points[tag]], values[:, places].mean(1), rtol=1e-6)


def test_charts_and_columns_name_tags_that_are_written(tmp_path: pathlib.Path, curves: LaneCurves,
                                                       read_events: Points) -> None:
    write_lane_runs(tmp_path, {"none": [0]}, LANES, curves, Config(), 1, {})
    train, validation = (set(read_events(tmp_path / "none" / split)) for split in ("train", "validation"))
    for charts in layout(["l1", "l2"], batches=False).values():
        for tags in charts.values():
            assert set(tags) <= train | validation
    assert not any(tag.startswith("train_batch/") for tag in train | validation)
    assert set(HPARAMS_METRICS) <= validation


def test_the_hparams_page_has_a_named_row_of_numbers_for_each_run(tmp_path: pathlib.Path, curves: LaneCurves) -> None:
    write_lane_runs(tmp_path, {"none": [0, 1], "one": [3]}, LANES, curves, Config(l1=9.0, epochs=4), 1, {})
    several, one = (hyperparameters_in(tmp_path / name / "validation") for name in ("none", "one"))
    assert (several["name"], several["l1"], several["learning_rate"], several["seeds"]) == ("none", 0.0, 0.01, 2)
    assert "seed" not in several
    assert (one["name"], one["l1"], one["seed"], one["epochs"]) == ("one", 0.5, 4, 4)


def test_the_hparams_page_has_what_differs_first_and_marks_what_was_chosen(tmp_path: pathlib.Path,
                                                                           curves: LaneCurves) -> None:
    write_lane_runs(tmp_path, {"none": [0, 1], "some": [2, 3]}, LANES, curves, Config(), 1, {"some": "best"})
    for name, choice in (("none", "-"), ("some", "best")):
        content = EventAccumulator(str(tmp_path / name / "validation"), {"tensors": 0}).Reload().PluginTagToContent(
            "hparams")
        page = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/experiment"]).experiment
        assert [info.name for info in page.hparam_infos if info.differs] == ["choice", "l1", "l1 (log10)"]
        assert page.metric_infos[0].name.tag == "epoch/data_loss"
        row = hyperparameters_in(tmp_path / name / "validation")
        assert row["choice"] == choice
        assert row["l1 (log10)"] == pytest.approx(np.log10(row["l1"]) if row["l1"] else -8)
        assert row["l2 (log10)"] == -8


def test_the_overview_has_the_texts_and_the_pictures_as_they_are(tmp_path: pathlib.Path, read_events: Points) -> None:
    figure(tmp_path)
    write_overview(tmp_path / "board", Config(), {"Data": "digits | some"}, ["This was found.", "And that."],
                   "arm  loss\nnone  0.5", {"curves": tmp_path / "picture.png", "none": tmp_path / "none.png"})
    found = {tag: points[0][1] for tag, points in read_events(tmp_path / "board" / "overview").items()}
    assert set(found) == {"about/found", "about/run", "about/tags", "pictures/curves"}
    assert found["about/found"].item().decode() == (
        "This was found.\n\nAnd that.\n\n    arm  loss\n    none  0.5")
    assert "| Data | digits \\| some |" in found["about/run"].item().decode()
    assert all(f"`{tag}`" in found["about/tags"].item().decode() for tag in ("epoch/data_loss", "penalty/l2"))
    png = (tmp_path / "picture.png").read_bytes()
    assert found["pictures/curves"].tolist() == [b"30", b"20", png]


def figure(folder: pathlib.Path) -> None:
    """A picture of 30 x 20 pixels."""
    from matplotlib.figure import Figure

    Figure(figsize=(3, 2), dpi=10).savefig(folder / "picture.png")


def test_a_diverged_lane_is_left_out_of_the_mean(tmp_path: pathlib.Path, curves: LaneCurves,
                                                 read_events: Points) -> None:
    curves.train["data_loss"][1, 1] = np.nan
    write_lane_runs(tmp_path, {"none": [0, 1], "some": [2, 3]}, LANES, curves, Config(), 1, {})
    for tag, values in (("epoch/data_loss", curves.validation["data_loss"]),
                        ("generalization/accuracy", curves.validation["accuracy"])):
        written = [value for _, value in read_events(tmp_path / "none" / "validation")[tag]]
        np.testing.assert_allclose(written, values[:, 0], rtol=1e-6)


def test_lanes_that_all_diverged_are_written_too(tmp_path: pathlib.Path, curves: LaneCurves,
                                                 read_events: Points) -> None:
    curves.train["data_loss"][1] = np.nan
    curves.validation["data_loss"][1] = np.inf
    write_lane_runs(tmp_path, {"none": [1]}, LANES, curves, Config(), 1, {})
    assert np.isnan(read_events(tmp_path / "none" / "train")["epoch/data_loss"][1][1])
    assert np.isinf(read_events(tmp_path / "none" / "validation")["epoch/data_loss"][1][1])


def test_training_curves_of_many_runs_are_those_of_the_important_ones(tmp_path: pathlib.Path,
                                                                      curves: LaneCurves) -> None:
    names = [f"{i:02}" for i in range(21)]
    write_lane_runs(tmp_path, {name: [0] for name in names}, LANES, curves, Config(), 1, {"03": "best"})
    assert [path.parent.name for path in tmp_path.glob("*/train")] == ["03"]
    assert sorted(path.parent.name for path in tmp_path.glob("*/validation")) == names
