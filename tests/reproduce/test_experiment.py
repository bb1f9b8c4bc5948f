"""A reproduction of two tiny parts: trained, judged, written, gone on with; and what the command refuses."""

from __future__ import annotations

import csv
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.data import Dataset, Examples
from reglab.reproduce import __main__ as command
from reglab.reproduce.base import LABEL, Criterion, Job, Outcome, Reproduction
from reglab.reproduce.experiment import reproduce
from reglab.reproduce.outputs import table
from reglab.reproduce.statistics import mean_of


class Tiny(Reproduction):
    """Two parts, of which the second is stopped once."""

    name, title, source, metric = "tiny", "Two learning rates", "This page, 2026", "test error (%)"
    differently = ("Nothing.",)
    columns = {LABEL: "rate", "published": "published", "ours": "ours"}
    settings = {"epochs": 2}
    parts = ("0.5", "0.01")

    def __init__(self, stops: bool = False, claim: float = 0.0) -> None:
        self.trained: list[str] = []
        self._stops, self._claim = stops, claim

    def data(self) -> Dataset:
        rng = np.random.default_rng(0)
        x, rule = rng.normal(size=(90, 6)).astype(np.float32), rng.normal(size=(6, 3))
        whole = Examples(x, (x @ rule + 0.5 * rng.normal(size=(90, 3))).argmax(1).astype(np.int32))
        train, held_out, unseen = (whole.take(np.arange(*ends)) for ends in ((0, 50), (50, 70), (70, 90)))
        return Dataset("tiny", train, held_out, 3, (6,), 1.0, test=unseen)

    def train(self, part: str, data: Dataset, job: Job) -> dict[str, Any]:
        from reglab.lab.lanes import Lane
        from reglab.reproduce.lane_runs import kept, train_lanes

        if self._stops and self.trained:
            raise RuntimeError("killed")
        config = Config(hidden=(4,), epochs=2, batch_size=8, jit=False, learning_rate=float(part), precision="float64")
        self.trained.append(part)
        lanes = [Lane(learning_rate=float(part), seed=seed) for seed in job.seeds]
        return kept(train_lanes(config, data, lanes, job).scores, (len(lanes),))

    def outcome(self, parts: Mapping[str, Mapping[str, Any]]) -> Outcome:
        rows = tuple({LABEL: part, "published": 12.5, "ours": mean_of(100 * np.array(parts[part]["test"]))}
                     for part in self.parts)
        return Outcome(rows, (Criterion("the claim", rows[0]["ours"].mean >= self._claim),), "Two errors.")

    def draw(self, outcome: Outcome, axis: Any) -> None:
        axis.plot([row["ours"].mean for row in outcome.rows], label="ours")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, dict[str, Any]]:
    """A reproduction that was killed after its first part, and gone on with."""
    folder = tmp_path_factory.mktemp("tiny") / "new"
    first, second = Tiny(stops=True), Tiny()
    with pytest.raises(RuntimeError, match="killed"):
        reproduce(first, str(folder), seeds=2)
    result = reproduce(second, str(folder), seeds=2)
    assert (first.trained, second.trained) == (["0.5"], ["0.01"]), "a finished part is not trained again"
    return folder, result


def test_scores_are_those_of_each_configuration_trained_alone(whole: tuple[pathlib.Path, dict[str, Any]]) -> None:
    import reglab

    kept = json.loads((whole[0] / "chunks" / "part-0.5.json").read_text())
    data = Tiny().data()
    history = reglab.fit(Config(hidden=(4,), epochs=2, batch_size=8, jit=False, learning_rate=0.5, seed=1, data_seed=0,
                                precision="float64"), data=data)
    arrays = history.parameters
    assert data.test is not None
    hidden = np.maximum(data.test.x @ arrays["dense_0"]["kernel"] + arrays["dense_0"]["bias"], 0)
    logits = hidden @ arrays["logits"]["kernel"] + arrays["logits"]["bias"]
    assert kept["test"][1] == np.mean(logits.argmax(1) != data.test.y)
    assert kept["train"][1] == pytest.approx(1 - history.result["train"]["accuracy"], abs=1e-12)
    assert kept["validation"][1] == pytest.approx(1 - history.result["validation"]["accuracy"], abs=1e-12)


def test_the_files_tell_what_was_returned(whole: tuple[pathlib.Path, dict[str, Any]]) -> None:
    folder, result = whole
    assert json.loads((folder / "reproduction.json").read_text()) == result
    lines = list(csv.DictReader((folder / "reproduction.csv").read_text().splitlines()))
    assert [line["label"] for line in lines] == ["0.5", "0.01"]
    assert [float(line["ours"]) for line in lines] == [row["ours"]["mean"] for row in result["rows"]]
    assert (folder / "reproduction.png").stat().st_size > 5000 and (folder / "reproduction.svg").exists()
    assert result["verdict"]["passed"] and result["source"] == "This page, 2026"
    shown = table(Tiny(), result).splitlines()
    assert shown[0].split() == ["rate", "published", "ours"] and shown[1].split()[:2] == ["0.5", "12.50"]


def test_a_folder_of_another_reproduction_is_refused(whole: tuple[pathlib.Path, dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match="holds another reproduction .seeds: 3, not 2"):
        reproduce(Tiny(), str(whole[0]), seeds=3)


def test_a_damaged_part_is_trained_again(whole: tuple[pathlib.Path, dict[str, Any]]) -> None:
    folder, result = whole
    part = folder / "chunks" / "part-0.01.json"
    part.write_text(part.read_text().replace("0.", "1.", 1))
    again = Tiny(claim=101.0)
    judged = reproduce(again, str(folder), seeds=2)
    assert again.trained == ["0.01"] and judged["rows"] == result["rows"]
    assert not judged["verdict"]["passed"] and "1 of 1 criteria is missed" in judged["verdict"]["text"]


@pytest.mark.parametrize(("argv", "said"), [
    ([], "takes one NAME and found 0"), (["mnist1d", "more"], "takes one NAME and found 2"),
    (["mnist2d"], "did you mean mnist1d?"), (["mnist1d", "--seeds=0"], "--seeds=0: give 1 to 1,000"),
    (["mnist1d", "--resume=maybe"], "--resume=maybe")])
def test_bad_input_is_refused_before_anything_is_trained(argv: list[str], said: str, tmp_path: pathlib.Path,
                                                         monkeypatch: pytest.MonkeyPatch,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(argv) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())
